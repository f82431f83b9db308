"""The life of RayExecutor's workers."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import SearchError
from .ray_places import Places
from .ray_state import State, Worker
from .ray_worker import Place, RayWorker, SetUpFault, StartFailure

logger = logging.getLogger(__name__)

STARTS = 3
"""How often a worker is started in vain before the search goes on without it."""
START_LIMIT = 1800.0
"""Seconds in which a worker has to make its fitness function."""


class WorkerPool:
    """Starts, prepares, replaces and kills workers; what they evaluate is not its business.

    Args:
        ray: the module, connected.
        parts: the function that makes the fitness function, and that one's arguments; they go to
            each machine once.
        workers: how many at the most.
        needs: what Ray sets aside for a worker: num_cpus, num_gpus.
        environment: variables of the worker processes.
        place_limit: seconds after which it is an error that not one worker has a place.
    """

    def __init__(
        self,
        ray: Any,
        parts: Iterable[Any],
        *,
        workers: int,
        needs: Mapping[str, float],
        environment: Mapping[str, str],
        place_limit: float,
    ) -> None:
        self._ray = ray
        self._actor = ray.remote(RayWorker).options(
            **needs, runtime_env={"env_vars": dict(environment)}
        )
        self._parts = [ray.put(part) for part in parts]
        self._wanted = workers
        self._places = Places(needs, place_limit)
        self._given_up: list[Worker] = []
        self._numbers = itertools.count()
        self._failed_starts = 0
        self.workers: list[Worker] = []

    def wake(self, candidates: int) -> None:
        """As many workers as there are candidates; those that waited must still be alive."""
        for worker in self.workers:
            if worker.state is State.IDLE:
                self._prepare(worker)
        while len(self.workers) < min(self._wanted, candidates):
            self._start(next(self._numbers))

    def wait(self) -> list[Worker]:
        """Those whose call has ended or is over its limit, one or more.

        Raises SearchError: not one worker has got a place.
        """
        while True:
            calls = {w.call: w for w in self.workers if w.state is not State.IDLE}
            ends = [
                min(w.deadline for w in calls.values()),
                self._places.check(self._ray, self.workers),
            ]
            rest = max(min(ends) - time.monotonic(), 0)
            if self._ended(list(calls), 1, None if math.isinf(rest) else rest):
                return [calls[call] for call in self._ended(list(calls), len(calls), 0)]
            late = [w for w in calls.values() if w.deadline <= time.monotonic()]
            if late:
                return late

    def has_ended(self, worker: Worker) -> bool:
        """Whether the worker's call has."""
        return bool(self._ended([worker.call], 1, 0))

    def take_start(self, worker: Worker, outcome: Any) -> SetUpFault | None:
        """Take what a worker gave that has no candidate yet.

        Returns:
            a fault that is not the worker's.

        Raises SearchError: no worker can start.
        """
        if isinstance(outcome, SetUpFault):
            if not any(w.was_ready for w in self.workers if w is not worker):
                return outcome
            self.failed_start(worker, outcome.message)  # it joined later: its machine's fault
        elif isinstance(outcome, Place):
            worker.place = outcome
            self._prepare(worker)
        elif isinstance(outcome, StartFailure):
            self.failed_start(worker, outcome.trace)
        else:
            self._is_ready(worker)
        return None

    def take_late_start(self, worker: Worker) -> None:
        """A worker without a candidate is over its limit. Raises as `failed_start`."""
        self.failed_start(worker, f"it was not ready after {START_LIMIT:.0f} s")

    def failed_start(self, worker: Worker, reason: str) -> None:
        """Start it again, or go on without it. Raises SearchError: no worker can start."""
        worker.failed_starts += 1
        self._failed_starts += 1
        logger.warning("%s could not start: %s", worker, reason)
        if worker.failed_starts < STARTS:
            self.replace(worker)
        else:  # it lives on, or the next that waits for a place would get this one
            self.workers.remove(worker)
            self._given_up.append(worker)
            self._wanted -= 1
        if not self.workers or (
            self._failed_starts >= STARTS and not self._places.is_hope(self.workers)
        ):
            raise SearchError(
                f"No worker can start ({self._failed_starts} times in vain); the last time:\n"
                f"{reason.rstrip()}"
            )
        if worker in self._given_up:
            logger.error("The search goes on with %d workers", self._wanted)

    def replace(self, worker: Worker) -> None:
        """Another process with the worker's number."""
        self.kill(worker)
        self._start(worker.number, worker.failed_starts)

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

    def _is_ready(self, worker: Worker) -> None:
        if not worker.was_ready:
            logger.info("%s is ready after %.1f s", worker, time.monotonic() - worker.since)
        worker.was_ready = True
        worker.failed_starts = self._failed_starts = 0
        worker.begin(State.IDLE, None)

    def _start(self, number: int, failed_starts: int = 0) -> None:
        actor = self._actor.remote()
        now = time.monotonic()
        worker = Worker(number, actor, actor.place.remote(), now, failed_starts=failed_starts)
        self.workers.append(worker)

    def _prepare(self, worker: Worker) -> None:
        worker.begin(State.PREPARING, worker.actor.prepare.remote(self._parts), START_LIMIT)

    def _ended(self, calls: list[Any], count: int, timeout: float | None) -> list[Any]:
        """Those that have ended, as soon as there are `count`."""
        done: list[Any] = self._ray.wait(calls, num_returns=count, timeout=timeout)[0]
        return done
