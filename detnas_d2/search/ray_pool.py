"""The life of RayExecutor's workers."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..space import Architecture
from .errors import SearchError
from .ray_worker import Fault, Place, RayWorker

logger = logging.getLogger(__name__)

STARTS = 3
"""How often a worker is started in vain before the search goes on without it."""
TELL_AFTER = 10.0
"""Seconds after which the log tells of workers that wait for a place."""
PLACE_LIMIT = 120.0
"""Seconds after which it is an error that not one worker has a place."""


@dataclass(eq=False)
class Job:
    """A candidate that is not done. failed_on: number of the worker of its last failed attempt,
    which gets it again only where it is alone, for each has a GPU or a part of a machine to itself.
    """

    architecture: Architecture
    attempts: int = 0
    lost_machines: int = 0
    failed_on: int | None = None


@dataclass(eq=False)
class Worker:
    """An actor as the driver knows it.

    call: the reference of the result that it owes, None where it is idle; without a job it is that
    of its start. placed: a reference that is ready once Ray has a place for it. place: None until
    it has started. failures: attempts that failed, in a row.
    """

    number: int
    actor: Any
    placed: Any
    call: Any
    since: float
    failed_starts: int = 0
    place: Place | None = None
    job: Job | None = None
    deadline: float = math.inf
    failures: int = 0

    def __str__(self) -> str:
        if self.place is None:
            return f"Worker {self.number}"
        return f"Worker {self.number} ({self.place.host}, process {self.place.process})"


class WorkerPool:
    """Starts, replaces and kills workers; what they evaluate is not its business.

    A replaced worker is a new actor, not one that Ray restarts (max_restarts): from that a call in
    flight gets the same error whether its process has died or its machine has left, and only the
    former is a failed attempt.

    Args:
        ray: the module, connected.
        parts: the function that makes the fitness function, and that one's arguments; they go to
            each machine once.
        workers: how many at the most.
        needs: what Ray sets aside for a worker: num_cpus, num_gpus.
        environment: variables of the worker processes.
    """

    def __init__(
        self,
        ray: Any,
        parts: Iterable[Any],
        workers: int,
        needs: Mapping[str, float],
        environment: Mapping[str, str],
    ) -> None:
        self._ray = ray
        options = {**needs, "runtime_env": {"env_vars": dict(environment)}}
        self._actor = ray.remote(RayWorker).options(**options)
        self._parts = [ray.put(part) for part in parts]
        self._wanted = workers
        self._needs = _as_text({"CPU": needs["num_cpus"], "GPU": needs["num_gpus"]})
        self._told = False
        self._given_up: list[Worker] = []
        self._numbers = itertools.count()
        self.workers: list[Worker] = []

    def wake(self, candidates: int) -> None:
        """As many workers as there are candidates; those that waited must still be alive."""
        for worker in self.workers:
            if worker.call is None:
                worker.call = worker.actor.start.remote(self._parts)
        while len(self.workers) < min(self._wanted, candidates):
            self._start(next(self._numbers))

    def wait(self) -> list[tuple[Worker, Any]]:
        """Those whose call has ended, with its result or RayError, or else those that are over
        their limit, with a TimeoutError; one or more.

        Raises SearchError: not one worker has got a place.
        """
        while True:
            calls = {w.call: w for w in self.workers if w.call is not None}
            end = min(self._check_places(), *(w.deadline for w in calls.values()))
            rest = None if math.isinf(end) else max(end - time.monotonic(), 0)
            if self._ray.wait(list(calls), timeout=rest)[0]:
                ended = self._ray.wait(list(calls), num_returns=len(calls), timeout=0)[0]
                return [(calls[call], self._result(call)) for call in ended]
            now = time.monotonic()
            if late := [w for w in calls.values() if w.deadline <= now]:
                return [(worker, TimeoutError()) for worker in late]

    def take_start(self, worker: Worker, outcome: Any) -> Fault | None:
        """Take what a worker gave that has no job.

        Returns:
            a fault that is not the worker's.

        Raises SearchError: no worker can start.
        """
        if isinstance(outcome, Place):
            if worker.place is None:
                worker.place = outcome
                seconds = time.monotonic() - worker.since
                logger.info("%s is ready after %.1f s", worker, seconds)
            worker.failed_starts = 0
            worker.call = None
        elif isinstance(outcome, Fault):
            if outcome.of_set_up and not any(w.place for w in self.workers):
                return outcome
            self._start_failed(worker, outcome.message)  # maybe its machine's, which joined later
        elif worker.place is not None or self.has_left(worker, outcome):
            logger.warning("%s was lost: %s", worker, outcome)
            self.replace(worker)
        else:
            self._start_failed(worker, str(outcome))
        return None

    def replace(self, worker: Worker) -> None:
        """Another process with the worker's number."""
        self.kill(worker)
        self._start(worker.number, worker.failed_starts)

    def is_alone(self, worker: Worker) -> bool:
        """Whether no other is at work."""
        return not any(w.place and w.number != worker.number for w in self.workers)

    def kill(self, worker: Worker) -> None:
        self.workers.remove(worker)
        self._ray.kill(worker.actor)

    def kill_all(self) -> None:
        for worker in (*self.workers, *self._given_up):
            self._ray.kill(worker.actor)
        self.workers, self._given_up = [], []

    def has_left(self, worker: Worker, reason: Exception) -> bool:
        """Whether the worker's machine has left the cluster.

        Of a process that dies on a machine that stays, Ray hears at once from the machine, and
        the actor has died; without that it is unavailable, until the machine counts as dead.
        """
        if isinstance(reason, self._ray.exceptions.ActorUnavailableError):
            return True
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        return worker.place is not None and worker.place.node not in alive

    def _start(self, number: int, failed_starts: int = 0) -> None:
        actor = self._actor.remote()
        call = actor.start.remote(self._parts)
        worker = Worker(number, actor, actor.__ray_ready__.remote(), call, time.monotonic())
        worker.failed_starts = failed_starts
        self.workers.append(worker)

    def _result(self, call: Any) -> Any:
        try:
            return self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            return error

    def _start_failed(self, worker: Worker, reason: str) -> None:
        """Start it again, or go on without it. Raises SearchError: no worker can start."""
        worker.failed_starts += 1
        logger.warning("%s could not start: %s", worker, reason)
        if worker.failed_starts < STARTS:
            self.replace(worker)
            return
        self.workers.remove(worker)
        self._given_up.append(worker)  # it lives on, or one that waits would get its place
        self._wanted -= 1
        if len(self._unplaced()) == len(self.workers):
            raise SearchError(f"No worker can start ({STARTS} times in vain); at last:\n{reason}")
        logger.error("The search goes on with %d workers", self._wanted)

    def _unplaced(self) -> list[Worker]:
        placing = {w.placed: w for w in self.workers if w.place is None}
        if not placing:
            return []
        waiting = self._ray.wait(list(placing), num_returns=len(placing), timeout=0)[1]
        return [placing[reference] for reference in waiting]

    def _check_places(self) -> float:
        """Tell, once, of workers that wait for a place.

        Returns:
            when to look again, by time.monotonic().

        Raises SearchError: not one worker has got a place.
        """
        waiting = [w.since for w in self._unplaced()]
        if not waiting:
            return math.inf
        now = time.monotonic()
        # from the last on: the others may have waited long for more places than there are
        end = max(waiting) + PLACE_LIMIT if len(waiting) == len(self.workers) else math.inf
        if now >= end:
            raise SearchError(
                f"Not one worker got a place in {PLACE_LIMIT:g} s. Each needs {self._needs}; "
                f"the cluster has {_as_text(self._ray.cluster_resources())}, of which free: "
                f"{_as_text(self._ray.available_resources())}. Add machines, wait until others "
                "leave them, or ask for less."
            )
        if not self._told and now >= min(waiting) + TELL_AFTER:
            self._told = True
            logger.warning(
                "%d of %d workers wait for a place (%s each); they join when there is one",
                *(len(waiting), len(self.workers), self._needs),
            )
        return end if self._told else min(end, min(waiting) + TELL_AFTER)


def _as_text(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{resources.get(key, 0):g} {key}" for key in ("CPU", "GPU"))
