"""Executors: they run the fitness function on architectures, here or elsewhere."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from ..errors import DetNASError
from ..space import Architecture

logger = logging.getLogger(__name__)

# architecture -> (fitness, more is better; every figure by name). It raises what it likes: the
# candidate then counts as failed. It must be a pure function of the architecture. Workers share a
# candidate where it is a SplitFitness.
Fitness: TypeAlias = Callable[[Architecture], tuple[float, Mapping[str, float]]]


@dataclass(frozen=True)
class Measurement:
    """What an executor hands back for one architecture: a finite fitness, or an error.

    fitness: unrounded; None when failed. metrics: None for figures that are not finite.
    seconds: wall time of the last attempt; of a candidate in tasks that of each one's last attempt,
    added up, without those that end after it.
    error: "Type: message" when failed, else None.
    traceback: where the error was raised, for the log.
    """

    architecture: Architecture
    fitness: float | None
    metrics: Mapping[str, float | None] = field(hash=False)
    seconds: float
    error: str | None
    traceback: str | None = field(default=None, compare=False, repr=False)


class Executor(Protocol):
    """Where candidates are evaluated."""

    def run(self, architectures: Sequence[Architecture]) -> Iterator[Measurement]:
        """One Measurement for each of the (different) architectures, in any order.

        They are yielded as soon as they are there, for the caller writes each to the disk before
        it asks for the next. A candidate that fails is tried again, a stated number of times, and
        then yielded as failed, never raised.

        Raises DetNASError where the fault is not the candidate's, after all that is there was
        yielded.
        """


class InProcessExecutor:
    """One after the other, in this process.

    Args:
        retries: how often a candidate that fails is tried again.
    """

    def __init__(self, fitness: Fitness, retries: int = 0):
        self._fitness = fitness
        self._retries = retries

    def run(self, architectures: Sequence[Architecture]) -> Iterator[Measurement]:
        for architecture in architectures:
            for attempt in range(1, self._retries + 2):
                measurement = measure(self._fitness, architecture)
                if measurement.error is None:
                    break
                log_failure(architecture, measurement, attempt, self._retries)
            yield after_attempts(measurement, attempt)


@dataclass(frozen=True)
class Attempt:
    """What came of running some units of a phase once.

    results: one for each; of the last phase fitness (None where it is not finite) and figures.
    seconds: wall time. error, traceback: as in Measurement.
    """

    results: Sequence[Any]
    seconds: float
    error: str | None
    traceback: str | None = None

    def measurement(self, architecture: Architecture, is_last: bool) -> Measurement:
        """Of a candidate that ends with this attempt."""
        fitness, metrics = self.results[0] if is_last and self.results else (None, {})
        seconds, trace = round(self.seconds, 3), self.traceback
        return Measurement(architecture, fitness, metrics, seconds, self.error, trace)


def attempt(call: Callable[[], Sequence[Any]], is_last: bool) -> Attempt:
    """Call what gives results; any Exception, and a NaN or infinite fitness, is a failure.

    KeyboardInterrupt and SystemExit pass through, and so does DetNASError: neither the user's wish
    nor a damaged image or a wrong setting is the candidate's fault, and the next would fail alike.

    Args:
        is_last: whether it gives the fitness and the figures, not what a later phase needs.
    """
    start = time.perf_counter()
    results: Sequence[Any] = ()
    error: str | None = None
    trace: str | None = None
    try:
        results = call()
        if is_last:
            ((fitness, figures),) = results
            # tensors' and numpy's numbers become plain ones; None stands for NaN, which JSON lacks
            metrics = {name: _finite_or_none(float(figure)) for name, figure in figures.items()}
            results = [(_finite_or_none(float(fitness)), metrics)]
            if results[0][0] is None:
                error = f"NotFinite: the fitness is {float(fitness)}"
    except DetNASError:
        raise
    except Exception as exception:
        results, error = (), f"{type(exception).__name__}: {exception}"
        trace = traceback.format_exc()
    return Attempt(results, time.perf_counter() - start, error, trace)


def measure(fitness: Fitness, architecture: Architecture) -> Measurement:
    """Run the whole fitness function once, here. Errors are those of `attempt`."""
    made = attempt(lambda: [fitness(architecture)], is_last=True)
    return made.measurement(architecture, is_last=True)


def set_up_fault(outcome: Any) -> DetNASError | None:
    """The DetNASError that a worker raised, if any: the next candidate would fail alike."""
    cause = getattr(outcome, "cause", None)
    return cause if isinstance(cause, DetNASError) else None


def log_failure(what: object, failed: Measurement | Attempt, attempt: int, retries: int) -> None:
    """Tell of a failed attempt at an architecture or a part of it, with its traceback."""
    where = f"\n{failed.traceback.rstrip()}" if failed.traceback else ""
    logger.warning(
        "%s failed in attempt %d of %d: %s%s", what, attempt, retries + 1, failed.error, where
    )


def after_attempts(measurement: Measurement, attempts: int) -> Measurement:
    """The last attempt's result; an error says how many there were."""
    if measurement.error is None:
        return measurement
    count = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    return dataclasses.replace(measurement, error=f"{measurement.error} (after {count})")


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
