"""RayExecutor's workers, and their life as the driver sees it."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import SearchError
from .executor import set_up_fault
from .ray_worker import Place, RayWorker
from .tasks import PhaseSize

logger = logging.getLogger(__name__)

STARTS = 3
"""How often a worker is started in vain before the search goes on without it."""
START_LIMIT = 1800.0
"""Seconds in which a worker that has a place has to make its fitness function."""
TELL_AFTER = 10.0
"""Seconds after which the log tells of workers that wait for a place."""
PLACE_LIMIT = 120.0
"""Seconds after which it is an error that not one worker has a place."""
_POLL = 0.2  # seconds between looks at time limits and places


@dataclass(eq=False)
class Worker:
    """An actor as the driver knows it.

    call: the reference of the result that it owes, None where it is idle; without a job it is that
    of its start. since: when that began. place: None until Ray has one for it. failures: attempts
    that failed, in a row.
    """

    number: int
    actor: Any
    call: Any
    since: float
    failed_starts: int = 0
    place: Place | None = None
    is_ready: bool = False
    job: Any = None
    failures: int = 0

    def __str__(self) -> str:
        if self.place is None:
            return f"Worker {self.number}"
        return f"Worker {self.number} ({self.place[1]}, process {self.place[2]})"


class WorkerPool:
    """Starts, replaces and kills workers; what they evaluate is not its business.

    A replaced worker is a new actor, not one that Ray restarts (max_restarts): from that a call in
    flight gets the same error whether its process has died or its machine has left, and only the
    former is a failed attempt.

    Args:
        ray: the module, connected.
        parts: the function that makes the fitness function, and that one's arguments.
        needs: what Ray sets aside for each of the workers: num_cpus, num_gpus.

    Attributes:
        phases: of the fitness function, as soon as a worker has made it.
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
        self._numbers = itertools.count()
        self.phases: list[PhaseSize] | None = None
        self.workers: list[Worker] = []
        self._given_up: list[Worker] = []
        self._in_vain = ""

    def wake(self) -> None:
        """Those that waited must still be alive."""
        for worker in self.workers:
            if worker.call is None:
                self._prepare(worker)

    def grow(self, tasks: int) -> None:
        """As many workers as there are tasks, where so many are wanted."""
        while len(self.workers) < min(self._wanted, tasks):
            self._start(next(self._numbers))

    @property
    def is_busy(self) -> bool:
        """Whether a worker has a task."""
        return any(worker.job is not None for worker in self.workers)

    def wait(self, time_limit: float) -> list[tuple[Worker, Any]]:
        """Those whose call has ended, with its result or RayError, and those whose task takes
        longer than `time_limit` seconds, or their start than START_LIMIT, with a TimeoutError; one
        or more.

        Raises SearchError: not one worker has got a place.
        """
        while True:
            self._check_places()
            calls = {w.call: w for w in self.workers if w.call is not None}
            self._ray.wait(list(calls), timeout=_POLL)
            ended, others = self._ray.wait(list(calls), num_returns=len(calls), timeout=0)
            found = [(calls[call], self._result(call)) for call in ended]
            for worker in map(calls.__getitem__, others):
                limit = START_LIMIT if worker.job is None else time_limit
                if worker.place is not None and time.monotonic() >= worker.since + limit:
                    found.append((worker, TimeoutError(f"not done after {limit:g} s")))
            if found:
                return found

    def take_start(self, worker: Worker, outcome: Any) -> None:
        """Take what a worker gave that has no job.

        Raises SearchError: no worker can start, or a fault of the set-up.
        """
        if isinstance(outcome, tuple):
            worker.place = outcome
            self._prepare(worker)
        elif isinstance(outcome, list):
            self.phases = outcome
            if not worker.is_ready:
                seconds = time.monotonic() - worker.since
                logger.info("%s is ready after %.1f s", worker, seconds)
            worker.is_ready, worker.failed_starts, worker.call = True, 0, None
        elif worker.is_ready or self.has_left(worker, outcome):
            logger.warning("%s was lost: %s", worker, outcome)
            self.replace(worker)
        else:  # maybe the fault of its machine, which joined later than others
            fault = set_up_fault(outcome)
            if fault is not None and not any(w.is_ready for w in self.workers):
                raise SearchError(str(fault))
            self._start_failed(worker, str(fault or getattr(outcome, "traceback_str", outcome)))

    def replace(self, worker: Worker) -> None:
        """Another process with the worker's number."""
        self.kill(worker)
        self._start(worker.number, worker.failed_starts)

    def is_alone(self, worker: Worker) -> bool:
        """Whether no other is at work."""
        return not any(w.is_ready and w.number != worker.number for w in self.workers)

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
        return worker.place is not None and worker.place[0] not in alive

    def _start(self, number: int, failed_starts: int = 0) -> None:
        actor = self._actor.remote()
        call = actor.place.remote()
        self.workers.append(Worker(number, actor, call, time.monotonic(), failed_starts))

    def _prepare(self, worker: Worker) -> None:
        worker.call, worker.since = worker.actor.start.remote(self._parts), time.monotonic()

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
        # it lives on, or the next that waits for a place would get this one
        self.workers.remove(worker)
        self._given_up.append(worker)
        self._wanted -= 1
        self._in_vain = f"No worker can start ({STARTS} times in vain); at last:\n{reason}"
        if not self.workers:
            raise SearchError(self._in_vain)
        logger.error("The search goes on with %d workers", self._wanted)

    def _check_places(self) -> None:
        """Tell, once, of workers that wait for a place. Raises SearchError: all of them wait."""
        waiting = [w.since for w in self.workers if w.place is None]
        now = time.monotonic()
        # from the last on: the others may have waited long for more places than there are
        if waiting and len(waiting) == len(self.workers) and now >= max(waiting) + PLACE_LIMIT:
            raise SearchError(
                self._in_vain  # the places are taken by those that could not start
                or f"Not one worker got a place in {PLACE_LIMIT:g} s. Each needs {self._needs}; "
                f"the cluster has {_as_text(self._ray.cluster_resources())}, of which free: "
                f"{_as_text(self._ray.available_resources())}. Add machines, wait until others "
                "leave them, or ask for less."
            )
        if waiting and not self._told and now >= min(waiting) + TELL_AFTER:
            self._told = True
            wait = f"{len(waiting)} of {len(self.workers)} workers wait for a place"
            logger.warning(f"{wait} ({self._needs} each); they join when there is one")


def _as_text(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{resources.get(key, 0):g} {key}" for key in ("CPU", "GPU"))
