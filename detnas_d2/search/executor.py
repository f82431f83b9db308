"""Executors: they run the fitness function on architectures, here or elsewhere."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ..errors import DetNASError
from ..space import Architecture

logger = logging.getLogger(__name__)

# architecture -> (fitness, more is better; every figure by name). It raises what it likes: the
# candidate then counts as failed. It must be a pure function of the architecture.
Fitness: TypeAlias = Callable[[Architecture], tuple[float, Mapping[str, float]]]


@dataclass(frozen=True)
class Measurement:
    """What an executor hands back for one architecture: a finite fitness, or an error.

    fitness: unrounded; None when failed. metrics: None for figures that are not finite.
    seconds: wall time. error: "Type: message" when failed, else None.
    """

    architecture: Architecture
    fitness: float | None
    metrics: Mapping[str, float | None] = field(hash=False)
    seconds: float
    error: str | None


class Executor(Protocol):
    """Where candidates are evaluated."""

    def run(self, architectures: Sequence[Architecture]) -> Iterator[Measurement]:
        """One Measurement for each of the (different) architectures, in the order given.

        They are yielded as soon as they are there, for the caller writes each to the disk before
        it asks for the next. What fails is yielded as failed, never raised.
        """


class InProcessExecutor:
    """One after the other, in this process."""

    def __init__(self, fitness: Fitness):
        self._fitness = fitness

    def run(self, architectures: Sequence[Architecture]) -> Iterator[Measurement]:
        for architecture in architectures:
            yield measure(self._fitness, architecture)


def measure(fitness: Fitness, architecture: Architecture) -> Measurement:
    """Run the fitness function once; any Exception, and a NaN or infinite fitness, is a failure.

    KeyboardInterrupt and SystemExit pass through, and so does DetNASError: neither the user's wish
    nor a damaged image or a wrong setting is the candidate's fault, and the next would fail alike.
    """
    start = time.perf_counter()
    value: float | None = None
    metrics: dict[str, float | None] = {}
    error: str | None = None
    try:
        raw_value, raw_metrics = fitness(architecture)
        # tensors' and numpy's numbers become plain ones; None stands for NaN, which JSON lacks
        metrics = {name: _finite_or_none(float(figure)) for name, figure in raw_metrics.items()}
        value = _finite_or_none(float(raw_value))
        if value is None:
            error = f"NotFinite: the fitness is {float(raw_value)}"
    except DetNASError:
        raise
    except Exception as exception:
        error = f"{type(exception).__name__}: {exception}"
        logger.warning("The fitness function failed on %s", architecture, exc_info=True)
    seconds = round(time.perf_counter() - start, 3)
    return Measurement(architecture, value, metrics, seconds, error)


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
