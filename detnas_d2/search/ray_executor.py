"""Candidates on many processes or machines, by Ray."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from ..space import Architecture
from .errors import SearchError
from .executor import Fitness, Measurement, after_attempts, log_failure
from .ray_pool import WorkerPool
from .ray_session import ray_session
from .ray_state import JobQueue, State, Worker
from .ray_worker import SetUpFault

logger = logging.getLogger(__name__)

LOST_MACHINES = 10
"""How often a candidate may lose its machine before that counts as a failed attempt."""
FAILURES = 3
"""After so many failed attempts in a row a worker is replaced."""


class RayExecutor:
    """Workers that keep the fitness function, each with one candidate at a time.

    Each free worker gets the next candidate. A worker that dies is replaced, and one that is over
    the time limit is killed and replaced; that is a failed attempt of its candidate, as an
    exception is. Not so where the whole machine has left the cluster. Workers for whom there is no
    place in the cluster join as soon as there is.

    After an exception the candidate is tried again in another process, on another GPU or machine
    where one is at work, and a worker whose attempts fail in a row is replaced: its GPU's context
    may be broken, which no candidate survives.

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
        place_limit: seconds after which it is an error that not one worker has a place.

    Raises SearchError, on entering, without Ray or where it can't be started or reached.
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
        place_limit: float = 120.0,
    ):
        self._parts: Iterable[Any] = itertools.chain([make_fitness], shared)
        self._workers = workers
        self._retries = retries
        self._time_limit = time_limit
        self._address = address
        self._needs = {"num_cpus": cpus_per_worker, "num_gpus": gpus_per_worker}
        self._environment = dict(environment or {})
        self._place_limit = place_limit
        self._queue = JobQueue()
        self._stack = ExitStack()

    def __enter__(self) -> RayExecutor:
        cpus, gpus = (need * self._workers for need in self._needs.values())
        try:
            self._ray = self._stack.enter_context(ray_session(self._address, cpus, gpus))
            self._pool = WorkerPool(
                self._ray,
                self._parts,
                workers=self._workers,
                needs=self._needs,
                environment=self._environment,
                place_limit=self._place_limit,
            )
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
        self._queue = JobQueue(architectures)
        left = len(architectures)
        self._pool.wake(left)
        try:
            while left:
                self._hand_out()
                fault = None
                for worker in self._pool.wait():
                    outcome = self._advance(worker)
                    if isinstance(outcome, Measurement):
                        left -= 1
                        yield outcome
                    elif outcome is not None:
                        fault = outcome
                if fault is not None:
                    raise SearchError(fault.message)
        finally:  # the caller may have stopped before the end
            for worker in [w for w in self._pool.workers if w.state is State.BUSY]:
                self._pool.kill(worker)

    def _hand_out(self) -> None:
        for worker in [w for w in self._pool.workers if w.state is State.IDLE]:
            worker.job = self._queue.take(worker, self._pool.workers)
            if worker.job is not None:
                call = worker.actor.evaluate.remote(worker.job.architecture)
                worker.begin(State.BUSY, call, self._time_limit)
            elif self._queue.needs_other(worker, self._pool.workers):
                self._pool.replace(worker)

    def _advance(self, worker: Worker) -> Measurement | SetUpFault | None:
        """Take what a worker's call gave."""
        if not self._pool.has_ended(worker):
            return self._late(worker)
        try:
            outcome = self._ray.get(worker.call)
        except self._ray.exceptions.RayError as error:
            return self._lost(worker, error)
        if worker.state is not State.BUSY:
            return self._pool.take_start(worker, outcome)
        if isinstance(outcome, SetUpFault):
            return outcome
        ended = self._end(worker, outcome)
        if worker.failures == FAILURES:
            logger.warning("%s: %d attempts failed in a row; it is replaced", worker, FAILURES)
            self._pool.replace(worker)
        return ended

    def _end(self, worker: Worker, measurement: Measurement) -> Measurement | None:
        """A candidate was evaluated, or failed."""
        job, worker.job = worker.job, None
        assert job is not None
        worker.begin(State.IDLE, None)
        job.attempts += 1
        measurement = dataclasses.replace(measurement, architecture=job.architecture)
        if measurement.error is None:
            worker.failures = 0
            return measurement
        worker.failures += 1
        log_failure(measurement, job.attempts, self._retries)
        if job.attempts <= self._retries:
            job.failed_on = worker
            self._queue.put_back(job)
            return None
        return after_attempts(measurement, job.attempts)

    def _late(self, worker: Worker) -> Measurement | None:
        if worker.job is None:
            self._pool.take_late_start(worker)
            return None
        error = f"TimeLimit: not done after {self._time_limit:g} s"
        return self._fail_and_replace(worker, error)

    def _lost(self, worker: Worker, reason: Exception) -> Measurement | None:
        logger.warning("%s was lost: %s", worker, reason)
        job = worker.job
        if job is not None and (
            job.lost_machines == LOST_MACHINES or not self._pool.has_left(worker, reason)
        ):
            error = "WorkerDied: its process was killed, ran out of memory or crashed"
            return self._fail_and_replace(worker, error)
        if job is not None:
            job.lost_machines += 1
            self._queue.put_back(job)
        elif not worker.was_ready and not self._pool.has_left(worker, reason):
            self._pool.failed_start(worker, str(reason))
            return None
        self._pool.replace(worker)
        return None

    def _fail_and_replace(self, worker: Worker, error: str) -> Measurement | None:
        assert worker.job is not None
        seconds = round(time.monotonic() - worker.since, 3)
        failure = Measurement(worker.job.architecture, None, {}, seconds, error)
        outcome = self._end(worker, failure)
        self._pool.replace(worker)
        return outcome
