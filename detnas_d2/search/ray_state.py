"""What RayExecutor knows of its workers and candidates."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..space import Architecture
from .ray_worker import Place


class State(Enum):
    PLACING = "waits for resources"
    PREPARING = "makes its fitness function"
    IDLE = "waits for a candidate"
    BUSY = "evaluates a candidate"


@dataclass(eq=False)
class Job:
    """A candidate that is not done. failed_on: the worker of its last failed attempt."""

    architecture: Architecture
    attempts: int = 0
    lost_machines: int = 0
    failed_on: Worker | None = None


@dataclass(eq=False)
class Worker:
    """An actor as the driver knows it.

    call: the reference of the result that it owes. failures: attempts that failed, in a row.
    """

    number: int
    actor: Any
    call: Any
    since: float
    state: State = State.PLACING
    failed_starts: int = 0
    place: Place | None = None
    was_ready: bool = False
    failures: int = 0
    job: Job | None = None
    deadline: float = math.inf

    def __str__(self) -> str:
        if self.place is None:
            return f"Worker {self.number}"
        return f"Worker {self.number} ({self.place.host}, process {self.place.process})"

    def shares_place(self, other: Worker) -> bool:
        """Whether both are on the same GPU, or, on CPUs, on the same machine."""
        here, there = self.place, other.place
        if here is None or there is None:
            return False
        return (here.node, here.gpus) == (there.node, there.gpus)

    def begin(self, state: State, call: Any, limit: float | None = None) -> None:
        self.state, self.call, self.since = state, call, time.monotonic()
        self.deadline = math.inf if limit is None else self.since + limit


class JobQueue:
    """The candidates that wait. One that has failed is tried again in another process, and on
    another GPU or machine as long as a worker is at work on one."""

    def __init__(self, architectures: Iterable[Architecture] = ()) -> None:
        self._jobs = deque(map(Job, architectures))

    def put_back(self, job: Job) -> None:
        """It is the next."""
        self._jobs.appendleft(job)

    def take(self, worker: Worker, workers: Sequence[Worker]) -> Job | None:
        """The next that this one of the workers may have."""
        for job in self._jobs:
            if _suits(job, worker, workers):
                self._jobs.remove(job)
                return job
        return None

    def needs_other(self, worker: Worker, workers: Sequence[Worker]) -> bool:
        """Whether all that wait have failed on this worker and none of the others will take one."""
        others = [w for w in workers if w is not worker and w.state is not State.PLACING]
        return bool(self._jobs) and not any(
            _suits(job, other, workers) for job in self._jobs for other in others
        )


def _suits(job: Job, worker: Worker, workers: Sequence[Worker]) -> bool:
    failed_on = job.failed_on
    if failed_on is None or failed_on is worker:
        return failed_on is None
    at_work = [w for w in workers if w.state in (State.IDLE, State.BUSY)]
    return not worker.shares_place(failed_on) or all(w.shares_place(failed_on) for w in at_work)
