"""Candidates on many processes or machines, by Ray."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from ..space import Architecture
from .errors import SearchError
from .executor import Attempt, Fitness, Measurement, log_failure, set_up_fault
from .ray_pool import Worker, WorkerPool
from .ray_session import ray_session
from .tasks import Task, Tasks

logger = logging.getLogger(__name__)

LOST_MACHINES = 10
"""How often a task may lose its machine before that counts as a failed attempt."""
FAILURES = 3
"""After so many failed attempts in a row a worker is replaced."""


class RayExecutor:
    """Workers that keep the fitness function, each with one task at a time.

    A task is a candidate, or a part of one where the fitness is in phases (SplitFitness). Each free
    worker gets the next task. A worker that dies is replaced, and one that is over the time limit
    is killed and replaced; that is a failed attempt of its task, as an exception is, and what is
    there of the candidate is kept. Not so where the whole machine has left the cluster. Workers for
    whom there is no place in the cluster join as soon as there is.

    After an exception the task is tried again by another worker where one is at work, else in
    a new process, and a worker whose attempts fail in a row is replaced: its GPU's context may be
    broken, which no task survives.

    Use it as a context manager: at the end the workers are killed, and Ray is stopped if it was
    started here.

    Args:
        make_fitness: called once in each worker, with `shared`; importable there.
        shared: its arguments (weights, data), which go to each machine once, by Ray's object
            store. NumPy arrays are mapped there, not copied, and read-only.
        workers: how many; fewer where a batch has fewer tasks.
        retries: how often a task that fails is tried again.
        time_limit: seconds for a task.
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
        self._tasks: Tasks | None = None
        self._stack = ExitStack()

    def __enter__(self) -> RayExecutor:
        cpus, gpus = (need * self._workers for need in self._needs.values())
        try:
            self._ray = self._stack.enter_context(ray_session(self._address, cpus, gpus))
            self._pool = WorkerPool(
                self._ray, self._parts, self._workers, self._needs, self._environment
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
        left, self._tasks = len(architectures), None
        self._pool.wake()
        self._pool.grow(left)
        try:
            while left or self._pool.is_busy:
                self._hand_out(architectures)
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

    def _hand_out(self, architectures: Sequence[Architecture]) -> None:
        if self._pool.phases is None:  # the first worker has not started yet
            return
        if self._tasks is None:
            self._tasks = Tasks(architectures, self._pool.phases, self._workers)
            self._pool.grow(self._tasks.left)
        idle = [w for w in self._pool.workers if w.call is None]
        for place, worker in enumerate(idle):
            alone = self._pool.is_alone(worker)
            task = self._tasks.next(worker.number, alone, len(idle) - place)
            if task is None:
                continue
            candidate = task.candidate
            if candidate.given is None:
                needed = self._tasks.needed(candidate)
                candidate.given = self._ray.put(needed) if needed else needed
            worker.job, worker.since = task, time.monotonic()
            worker.call = worker.actor.evaluate.remote(
                candidate.architecture, candidate.phase, task.units, candidate.given
            )

    def _take(self, worker: Worker, task: Task, outcome: Any) -> Measurement | None:
        """Take what an attempt gave; what is to be yielded, if its candidate has come to its end.

        An attempt of a candidate that has failed meanwhile changes nothing.
        """
        assert self._tasks is not None
        worker.job, worker.call = None, None
        is_lost = not isinstance(outcome, Attempt)
        if is_lost:
            if isinstance(outcome, TimeoutError):
                error = f"TimeLimit: {outcome}"
            else:
                error = "WorkerDied: its process was killed, ran out of memory or crashed"
                logger.warning("%s was lost: %s", worker, outcome)
                if task.lost_machines < LOST_MACHINES and self._pool.has_left(worker, outcome):
                    task.lost_machines += 1
                    self._tasks.again(task)
                    self._pool.replace(worker)
                    return None
            outcome = Attempt((), time.monotonic() - worker.since, error)
        task.attempts += 1
        worker.failures = 0 if outcome.error is None else worker.failures + 1
        is_again = outcome.error is not None and task.attempts <= self._retries
        ended = None
        if outcome.error is None:
            ended = self._tasks.done(task, outcome)
        else:
            log_failure(self._tasks.name(task), outcome, task.attempts, self._retries)
            if is_again:
                self._tasks.failed(task, worker.number)
            else:
                ended = self._tasks.given_up(task, outcome)
        if is_lost or worker.failures == FAILURES or (is_again and self._pool.is_alone(worker)):
            logger.warning("%s is replaced; attempts failed in a row: %d", worker, worker.failures)
            self._pool.replace(worker)
        return ended
