"""One log line for each evaluated candidate, with the time left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from ..durations import duration
from .record import Evaluation, best_of

logger = logging.getLogger(__name__)


class Progress:
    """Counts candidates up to `total` and logs each one that was evaluated.

    The time left is estimated from the evaluations of this run, by the clock (so it holds for any
    number of workers); answers of the ledger take no time and are not counted for it.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic):
        self._total = total
        self._clock = clock
        self._started: float | None = None
        self._done = 0
        self._measured = 0
        self._best: Evaluation | None = None

    def begin_batch(self, known: Sequence[Evaluation]) -> None:
        """A batch begins; `known` are those that the ledger has answered."""
        if self._started is None:
            self._started = self._clock()
        if known:
            self._done += len(known)
            self._update_best(known)
            done = f"{self._done}/{self._total}"
            logger.info("%s: %d candidates are in the ledger already", done, len(known))

    def evaluated(self, evaluation: Evaluation) -> None:
        """A candidate was evaluated and is in the ledger."""
        self._done += 1
        self._measured += 1
        self._update_best([evaluation])
        logger.info("%s", self._line(evaluation))

    def _update_best(self, evaluations: Sequence[Evaluation]) -> None:
        self._best = best_of([*evaluations, *([self._best] if self._best is not None else [])])

    def _line(self, evaluation: Evaluation) -> str:
        outcome = (
            f"fitness {evaluation.fitness:.4f}"
            if evaluation.fitness is not None
            else f"failed ({evaluation.error})"
        )
        best = f"{self._best.fitness:.4f}" if self._best is not None else "none"
        return (
            f"{self._done}/{self._total}, generation {evaluation.generation}: {outcome}, "
            f"best {best}, {evaluation.flops / 1e6:.1f}M multiply-adds, "
            f"{duration(evaluation.seconds)}, {self._time_left()} left"
        )

    def _time_left(self) -> str:
        elapsed = self._clock() - self._started if self._started is not None else 0.0
        left = elapsed / self._measured * max(self._total - self._done, 0)
        return duration(left)
