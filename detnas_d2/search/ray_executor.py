"""Candidates on many processes or machines, by Ray."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from ..space import Architecture
from .errors import SearchError
from .executor import Fitness, Measurement, after_attempts, log_failure, set_up_fault
from .ray_pool import Worker, WorkerPool
from .ray_session import ray_session

logger = logging.getLogger(__name__)

LOST_MACHINES = 10
"""How often a candidate may lose its machine before that counts as a failed attempt."""
FAILURES = 3
"""After so many failed attempts in a row a worker is replaced."""


@dataclass(eq=False)
class Job:
    """A candidate that is not done. failed_on: number of the worker of its last failed attempt,
    which gets it again only where it is alone, for each has a GPU or a part of a machine to itself.
    """

    architecture: Architecture
    attempts: int = 0
    lost_machines: int = 0
    failed_on: int | None = None


class RayExecutor:
    """Workers that keep the fitness function, each with one candidate at a time.

    Each free worker gets the next candidate. A worker that dies is replaced, and one that is over
    the time limit is killed and replaced; that is a failed attempt of its candidate, as an
    exception is. Not so where the whole machine has left the cluster. Workers for whom there is no
    place in the cluster join as soon as there is.

    After an exception the candidate is tried again by another worker where one is at work, else in
    a new process, and a worker whose attempts fail in a row is replaced: its GPU's context may be
    broken, which no candidate survives.

    Use it as a context manager: at the end the workers are killed, and Ray is stopped if it was
    started here.

    Args:
        make_fitness: called once in each worker, with `shared`; importable there.
        shared: its arguments (weights, data), which go to each machine once, by Ray's object
            store. NumPy arrays are mapped there, not copied, and read-only.
        workers: how many; fewer where a batch has fewer candidates.
        retries: how often a candidate that fails is tried again.
        time_limit: seconds for a candidate.
        address: of a cluster that runs, or "auto"; None starts Ray on this machine.
        cpus_per_worker, gpus_per_worker: what Ray sets aside for a worker.
        environment: variables of the worker processes; "${NAME}" in a value is the old one.

    Raises SearchError, on entering, where Ray can't be started or reached.
    """

    def __init__(
        self,
        make_fitness: Callable[..., Fitness],
        shared: Iterable[Any] = (),
        *,
        workers: int,
        retries: int = 0,
        time_limit: float | None = None,
        address: str | None = None,
        cpus_per_worker: float = 1,
        gpus_per_worker: float = 0,
        environment: Mapping[str, str] | None = None,
    ):
        self._parts: Iterable[Any] = itertools.chain([make_fitness], shared)
        self._workers = workers
        self._retries = retries
        self._time_limit = math.inf if time_limit is None else time_limit
        self._address = address
        self._needs = {"num_cpus": cpus_per_worker, "num_gpus": gpus_per_worker}
        self._environment = dict(environment or {})
        self._waiting: deque[Job] = deque()
        self._stack = ExitStack()

    def __enter__(self) -> RayExecutor:
        cpus, gpus = (need * self._workers for need in self._needs.values())
        try:
            ray = self._stack.enter_context(ray_session(self._address, cpus, gpus))
            self._pool = WorkerPool(ray, self._parts, self._workers, self._needs, self._environment)
            self._stack.callback(self._pool.kill_all)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def run(self, architectures: Sequence[Architecture]) -> Iterator[Measurement]:
        """See Executor.

        Raises SearchError: not one worker has a place or can start; a fault of the set-up.
        """
        self._waiting = deque(map(Job, architectures))
        left = len(architectures)
        self._pool.wake(left)
        try:
            while left:
                self._hand_out()
                fault = None
                for worker, outcome in self._pool.wait(self._time_limit):
                    if worker.job is None:
                        self._pool.take_start(worker, outcome)
                    elif set_up_fault(outcome) is not None:
                        fault = set_up_fault(outcome)
                    elif (measurement := self._take(worker, worker.job, outcome)) is not None:
                        left -= 1
                        yield measurement
                if fault is not None:
                    raise SearchError(str(fault))
        finally:  # the caller may have stopped before the end
            for worker in [w for w in self._pool.workers if w.job is not None]:
                self._pool.kill(worker)

    def _hand_out(self) -> None:
        for worker in [w for w in self._pool.workers if w.call is None]:
            alone = self._pool.is_alone(worker)
            job = next((j for j in self._waiting if alone or j.failed_on != worker.number), None)
            if job is not None:
                self._waiting.remove(job)
                worker.job, worker.since = job, time.monotonic()
                worker.call = worker.actor.evaluate.remote(job.architecture)

    def _take(self, worker: Worker, job: Job, outcome: Any) -> Measurement | None:
        """Take what an attempt gave; None where the candidate is tried again."""
        worker.job, worker.call = None, None
        if isinstance(outcome, Measurement):
            measurement = replace(outcome, architecture=job.architecture)
        else:
            if isinstance(outcome, TimeoutError):
                error = f"TimeLimit: {outcome}"
            else:
                error = "WorkerDied: its process was killed, ran out of memory or crashed"
                logger.warning("%s was lost: %s", worker, outcome)
                if job.lost_machines < LOST_MACHINES and self._pool.has_left(worker, outcome):
                    job.lost_machines += 1
                    self._waiting.appendleft(job)
                    self._pool.replace(worker)
                    return None
            seconds = round(time.monotonic() - worker.since, 3)
            measurement = Measurement(job.architecture, None, {}, seconds, error)
        job.attempts += 1
        worker.failures = 0 if measurement.error is None else worker.failures + 1
        is_again = measurement.error is not None and job.attempts <= self._retries
        if measurement.error is not None:
            log_failure(measurement, job.attempts, self._retries)
        if is_again:
            job.failed_on = worker.number
            self._waiting.appendleft(job)
        if (
            not isinstance(outcome, Measurement)
            or worker.failures == FAILURES
            or (is_again and self._pool.is_alone(worker))
        ):
            logger.warning("%s is replaced; attempts failed in a row: %d", worker, worker.failures)
            self._pool.replace(worker)
        return None if is_again else after_attempts(measurement, job.attempts)
