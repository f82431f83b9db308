"""One log line for each evaluated candidate, with the time left."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from ..durations import duration
from .record import Evaluation, best_of

logger = logging.getLogger(__name__)


class Progress:
    """Counts candidates up to `total` and logs each one that was evaluated.

    The time left is estimated from the evaluations of this run, by the clock (so it holds for any
    number of workers); answers of the ledger take no time and are not counted for it.
    """

    def __init__(self, total: int):
        self._total = total
        self._started: float | None = None
        self._done = 0
        self._measured = 0
        self._best: Evaluation | None = None

    def begin_batch(self, known: Sequence[Evaluation]) -> None:
        """`known`: those of the batch that the ledger answers."""
        if self._started is None:
            self._started = time.monotonic()
        self._count(known)
        if known:
            done = f"{self._done}/{self._total}"
            logger.info("%s: %d candidates are in the ledger already", done, len(known))

    def evaluated(self, evaluation: Evaluation) -> None:
        """It is in the ledger now."""
        self._count([evaluation])
        self._measured += 1
        logger.info("%s", self._line(evaluation))

    def _count(self, evaluations: Sequence[Evaluation]) -> None:
        self._done += len(evaluations)
        self._best = best_of([*evaluations, *([self._best] if self._best else [])])

    def _line(self, last: Evaluation) -> str:
        outcome = (
            f"failed ({last.error})" if last.fitness is None else f"fitness {last.fitness:.4f}"
        )
        best = f"{self._best.fitness:.4f}" if self._best else "none"
        elapsed = time.monotonic() - (self._started or 0)
        left = elapsed / self._measured * max(self._total - self._done, 0)
        return (
            f"{self._done}/{self._total}, generation {last.generation}: {outcome}, "
            f"best {best}, {last.flops / 1e6:.1f}M multiply-adds, {duration(last.seconds)}, "
            f"{duration(left)} left"
        )
