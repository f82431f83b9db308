"""Candidates on many processes or machines, by Ray."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from ..space import Architecture
from .errors import SearchError
from .executor import Fitness, Measurement, after_attempts, log_failure
from .ray_places import Places
from .ray_session import ray_session
from .ray_state import JobQueue, State, Worker
from .ray_worker import Place, RayWorker, SetUpFault, StartFailure

logger = logging.getLogger(__name__)

STARTS = 3
"""How often a worker is started in vain before the search goes on without it."""
START_LIMIT = 1800.0
"""Seconds in which a worker has to make its fitness function."""
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
        self._wanted = workers
        self._retries = retries
        self._time_limit = time_limit
        self._address = address
        self._needs = {"num_cpus": cpus_per_worker, "num_gpus": gpus_per_worker}
        self._environment = dict(environment or {})
        self._places = Places(self._needs, place_limit)
        self._workers: list[Worker] = []
        self._given_up: list[Worker] = []
        self._numbers = itertools.count()
        self._queue = JobQueue()
        self._failed_starts = 0
        self._stack = ExitStack()

    def __enter__(self) -> RayExecutor:
        cpus, gpus = (need * self._wanted for need in self._needs.values())
        self._ray = self._stack.enter_context(ray_session(self._address, cpus, gpus))
        self._stack.callback(self._kill_all)
        try:
            self._actor = self._ray.remote(RayWorker).options(
                **self._needs, runtime_env={"env_vars": self._environment}
            )
            self._parts = [self._ray.put(part) for part in self._parts]
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
        self._wake(left)
        try:
            while left:
                self._hand_out()
                fault = None
                for worker in self._wait():
                    outcome = self._advance(worker)
                    if isinstance(outcome, Measurement):
                        left -= 1
                        yield outcome
                    elif outcome is not None:
                        fault = outcome
                if fault is not None:
                    raise SearchError(fault.message)
        finally:  # the caller may have stopped before the end
            for worker in [w for w in self._workers if w.state is State.BUSY]:
                self._kill(worker)

    def _wake(self, candidates: int) -> None:
        """As many workers as there are candidates; those that waited must still be alive."""
        for worker in self._workers:
            if worker.state is State.IDLE:
                self._prepare(worker)
        while len(self._workers) < min(self._wanted, candidates):
            self._start(next(self._numbers))

    def _hand_out(self) -> None:
        for worker in [w for w in self._workers if w.state is State.IDLE]:
            worker.job = self._queue.take(worker, self._workers)
            if worker.job is not None:
                call = worker.actor.evaluate.remote(worker.job.architecture)
                worker.begin(State.BUSY, call, self._time_limit)
            elif self._queue.needs_other(worker, self._workers):
                self._replace(worker)

    def _wait(self) -> list[Worker]:
        """Those whose call has ended or is over its limit, one or more."""
        while True:
            calls = {w.call: w for w in self._workers if w.state is not State.IDLE}
            ends = [
                min(w.deadline for w in calls.values()),
                self._places.check(self._ray, self._workers),
            ]
            rest = max(min(ends) - time.monotonic(), 0)
            if self._ended(list(calls), 1, None if math.isinf(rest) else rest):
                return [calls[call] for call in self._ended(list(calls), len(calls), 0)]
            late = [w for w in calls.values() if w.deadline <= time.monotonic()]
            if late:
                return late

    def _advance(self, worker: Worker) -> Measurement | SetUpFault | None:
        """Take what a worker's call gave."""
        if not self._ended([worker.call], 1, 0):
            return self._late(worker)
        try:
            outcome = self._ray.get(worker.call)
        except self._ray.exceptions.RayError as error:
            return self._lost(worker, error)
        if isinstance(outcome, SetUpFault):
            ready = any(w.was_ready for w in self._workers if w is not worker)
            if not ready or worker.state is State.BUSY:
                return outcome
            self._failed_start(worker, outcome.message)  # it joined later: its machine's fault
            return None
        if isinstance(outcome, Place):
            worker.place = outcome
            self._prepare(worker)
        elif isinstance(outcome, StartFailure):
            self._failed_start(worker, outcome.trace)
        elif isinstance(outcome, Measurement):
            ended = self._end(worker, outcome)
            if worker.failures == FAILURES:
                logger.warning("%s: %d attempts failed in a row; it is replaced", worker, FAILURES)
                self._replace(worker)
            return ended
        else:
            self._is_ready(worker)
        return None

    def _is_ready(self, worker: Worker) -> None:
        if not worker.was_ready:
            logger.info("%s is ready after %.1f s", worker, time.monotonic() - worker.since)
        worker.was_ready = True
        worker.failed_starts = self._failed_starts = 0
        worker.begin(State.IDLE, None)

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
            self._failed_start(worker, f"it was not ready after {START_LIMIT:.0f} s")
            return None
        error = f"TimeLimit: not done after {self._time_limit:g} s"
        return self._fail_and_replace(worker, error)

    def _lost(self, worker: Worker, reason: Exception) -> Measurement | None:
        logger.warning("%s was lost: %s", worker, reason)
        job = worker.job
        if job is not None and (
            job.lost_machines == LOST_MACHINES or not self._has_left(worker, reason)
        ):
            error = "WorkerDied: its process was killed, ran out of memory or crashed"
            return self._fail_and_replace(worker, error)
        if job is not None:
            job.lost_machines += 1
            self._queue.put_back(job)
        elif not worker.was_ready and not self._has_left(worker, reason):
            self._failed_start(worker, str(reason))
            return None
        self._replace(worker)
        return None

    def _fail_and_replace(self, worker: Worker, error: str) -> Measurement | None:
        assert worker.job is not None
        seconds = round(time.monotonic() - worker.since, 3)
        failure = Measurement(worker.job.architecture, None, {}, seconds, error)
        outcome = self._end(worker, failure)
        self._replace(worker)
        return outcome

    def _failed_start(self, worker: Worker, reason: str) -> None:
        worker.failed_starts += 1
        self._failed_starts += 1
        logger.warning("%s could not start: %s", worker, reason)
        if worker.failed_starts < STARTS:
            self._replace(worker)
        else:  # it lives on, or the next that waits for a place would get this one
            self._workers.remove(worker)
            self._given_up.append(worker)
            self._wanted -= 1
        if not self._workers or (
            self._failed_starts >= STARTS and not self._places.is_hope(self._workers)
        ):
            raise SearchError(
                f"No worker can start ({self._failed_starts} times in vain); the last time:\n"
                f"{reason.rstrip()}"
            )
        if worker in self._given_up:
            logger.error("The search goes on with %d workers", self._wanted)

    def _start(self, number: int, failed_starts: int = 0) -> None:
        actor = self._actor.remote()
        now = time.monotonic()
        worker = Worker(number, actor, actor.place.remote(), now, failed_starts=failed_starts)
        self._workers.append(worker)

    def _prepare(self, worker: Worker) -> None:
        worker.begin(State.PREPARING, worker.actor.prepare.remote(self._parts), START_LIMIT)

    def _replace(self, worker: Worker) -> None:
        self._kill(worker)
        self._start(worker.number, worker.failed_starts)

    def _kill(self, worker: Worker) -> None:
        self._workers.remove(worker)
        self._ray.kill(worker.actor)

    def _kill_all(self) -> None:
        for worker in (*self._workers, *self._given_up):
            self._ray.kill(worker.actor)
        self._workers, self._given_up = [], []

    def _has_left(self, worker: Worker, reason: Exception) -> bool:
        """Whether the worker's machine has left the cluster.

        Of a process that dies on a machine that stays, Ray hears at once from the machine, and
        the actor has died; without that it is unavailable, until the machine counts as dead.
        """
        if isinstance(reason, self._ray.exceptions.ActorUnavailableError):
            return True
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        return worker.place is not None and worker.place.node not in alive

    def _ended(self, calls: list[Any], count: int, timeout: float | None) -> list[Any]:
        """Those that have ended, as soon as there are `count`."""
        done: list[Any] = self._ray.wait(calls, num_returns=count, timeout=timeout)[0]
        return done
