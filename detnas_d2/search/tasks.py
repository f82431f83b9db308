"""What the candidates of a batch still need, cut into tasks for workers."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ..space import Architecture
from .executor import Attempt, Measurement, after_attempts

SHARES = 8
"""A task is at most this part of what each worker would get of all that is left: one of a candidate
that is four times as slow as others ends half-way, and time is left for what follows it."""
PIECES = 16
"""Into so many tasks, or as many as there are workers if these are more, a phase may be cut."""


class PhaseSize(NamedTuple):
    """What an executor knows of a phase: see Phase."""

    units: int
    needs: tuple[int, ...]


@dataclass(eq=False)
class Task:
    """Some units of a candidate's phase, for one worker.

    failed_on: number of the worker of its last failed attempt, which gets it again only where it is
    alone, for each has a GPU or a part of a machine to itself.
    """

    candidate: Candidate
    units: range
    attempts: int = 0
    lost_machines: int = 0
    failed_on: int | None = None


@dataclass(eq=False)
class Candidate:
    """An architecture that is not done.

    end: the units of the present phase before it are needed: all, or those before one that failed,
        so that the error is that of one process, the first one's. begun: how many were handed out.
    again: tasks to hand out once more. in_doubt: those needed that failed and have not ended since.
        Meanwhile only the first of them is tried, for if it is the candidate's fault, all that try
        it fail or die.
    found: results of the present phase by unit. results: those of former phases. given: what the
        executor has made of the results that the phase needs. seconds: of all tasks so far.
    outcome: what comes of it when the units before `end` are done.
    """

    architecture: Architecture
    end: int
    begun: int = 0
    again: deque[Task] = field(default_factory=deque)
    in_doubt: set[Task] = field(default_factory=set)
    found: dict[int, Any] = field(default_factory=dict)
    results: list[list[Any]] = field(default_factory=list)
    given: Any = None
    seconds: float = 0.0
    outcome: Measurement | None = None

    @property
    def phase(self) -> int:
        return len(self.results)

    @property
    def to_repeat(self) -> Collection[Task]:
        """Tasks that a worker could try again."""
        if not self.in_doubt:
            return self.again
        first = min(self.in_doubt, key=lambda task: task.units.start)
        return [first] if first in self.again else ()

    @property
    def ready(self) -> int:
        """Units that a worker could begin with."""
        return 0 if self.in_doubt else max(self.end - self.begun, 0)


class Tasks:
    """The tasks of a batch; those of its first candidates come first.

    How the units are shared out changes no result, for each unit's is its own and they are put
    together in their order.

    Args:
        workers: how many there may be.
    """

    def __init__(
        self, architectures: Iterable[Architecture], phases: Sequence[PhaseSize], workers: int
    ) -> None:
        self._phases = phases
        self._later = [sum(p.units for p in phases[n + 1 :]) for n in range(len(phases))]
        self._workers = workers
        self._open = [Candidate(a, phases[0].units) for a in architectures]

    @property
    def left(self) -> int:
        """Units that were not handed out."""
        return sum(c.ready + self._later[c.phase] for c in self._open)

    def next(self, worker: int, alone: bool, idle: int) -> Task | None:
        """A task for a worker, if there is one.

        Args:
            worker: its number. alone: whether no other is at work.
            idle: workers without a task, it included, who get equal shares of what is ready.
        """
        for candidate in self._open:
            for task in candidate.to_repeat:
                if alone or task.failed_on != worker:
                    candidate.again.remove(task)
                    return task
            if candidate.ready:
                return self._cut(candidate, idle)
        return None

    def _cut(self, candidate: Candidate, idle: int) -> Task:
        ready = sum(c.ready for c in self._open)
        share = min(self.left / (SHARES * self._workers), ready / idle)
        least = self._phases[candidate.phase].units / max(self._workers, PIECES)
        first = candidate.begun
        candidate.begun = min(first + max(int(share), math.ceil(least)), candidate.end)
        return Task(candidate, range(first, candidate.begun))

    def needed(self, candidate: Candidate) -> list[list[Any]]:
        """What the candidate's present phase gets of former ones."""
        return [candidate.results[number] for number in self._phases[candidate.phase].needs]

    def name(self, task: Task) -> str:
        """For the log: the architecture, and what of it, unless it is all."""
        candidate, units = task.candidate, task.units
        if len(self._phases) == 1:
            return str(candidate.architecture)
        part = f"phase {candidate.phase}, units {units.start} to {units.stop - 1}"
        return f"{candidate.architecture} ({part})"

    def again(self, task: Task) -> None:
        """Hand it out once more, before all else of its candidate."""
        if self._is_needed(task):
            task.candidate.again.appendleft(task)

    def failed(self, task: Task, worker: int) -> None:
        """It is to be tried again, by another worker if possible."""
        task.failed_on = worker
        if self._is_needed(task):
            task.candidate.in_doubt.add(task)
        self.again(task)

    def given_up(self, task: Task, attempt: Attempt) -> Measurement | None:
        """Its candidate has failed. Gives what came of the candidate, if that is its end."""
        candidate = task.candidate
        candidate.in_doubt.discard(task)
        if self._is_needed(task):
            candidate.end = task.units.start
            candidate.outcome = after_attempts(self._measurement(task, attempt), task.attempts)
            candidate.again = deque(filter(self._is_needed, candidate.again))
            candidate.in_doubt = set(filter(self._is_needed, candidate.in_doubt))
        candidate.seconds += attempt.seconds
        return self._go_on(candidate)

    def done(self, task: Task, attempt: Attempt) -> Measurement | None:
        """Take its results. Gives what came of the candidate, if that is its end."""
        candidate = task.candidate
        candidate.in_doubt.discard(task)
        candidate.found.update(zip(task.units, attempt.results, strict=True))
        if self._is_last(candidate):
            candidate.outcome = self._measurement(task, attempt)
        candidate.seconds += attempt.seconds
        return self._go_on(candidate)

    def _measurement(self, task: Task, attempt: Attempt) -> Measurement:
        candidate = task.candidate
        return attempt.measurement(candidate.architecture, self._is_last(candidate))

    def _is_last(self, candidate: Candidate) -> bool:
        return len(candidate.results) == len(self._phases) - 1

    def _is_needed(self, task: Task) -> bool:
        candidate = task.candidate
        return candidate in self._open and task.units.start < candidate.end

    def _go_on(self, candidate: Candidate) -> Measurement | None:
        """If the present phase is complete, begin the next, or give what came of the last."""
        if candidate not in self._open or not candidate.found.keys() >= set(range(candidate.end)):
            return None
        if candidate.outcome is not None:
            self._open.remove(candidate)
            return replace(candidate.outcome, seconds=round(candidate.seconds, 3))
        candidate.results.append([candidate.found[i] for i in range(candidate.end)])
        to_come = self._phases[candidate.phase :]
        for number, results in enumerate(candidate.results):
            if not any(number in phase.needs for phase in to_come):
                results.clear()
        candidate.found, candidate.begun, candidate.given = {}, 0, None
        candidate.end = self._phases[candidate.phase].units
        return None
