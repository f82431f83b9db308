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
        self._seen: list[Evaluation] = []
        self._measured = 0

    def begin_batch(self, known: Sequence[Evaluation]) -> None:
        if self._started is None:
            self._started = self._clock()
        self._seen += known
        if known:
            done = f"{len(self._seen)}/{self._total}"
            logger.info("%s: %d candidates are in the ledger already", done, len(known))

    def evaluated(self, evaluation: Evaluation) -> None:
        self._seen.append(evaluation)
        self._measured += 1
        logger.info("%s", self._line(evaluation))

    def _line(self, last: Evaluation) -> str:
        outcome = (
            f"failed ({last.error})" if last.fitness is None else f"fitness {last.fitness:.4f}"
        )
        best = best_of(self._seen)
        done, elapsed = len(self._seen), self._clock() - (self._started or 0)
        left = elapsed / self._measured * max(self._total - done, 0)
        return (
            f"{done}/{self._total}, generation {last.generation}: {outcome}, best "
            f"{'none' if best is None else f'{best.fitness:.4f}'}, {last.flops / 1e6:.1f}M "
            f"multiply-adds, {duration(last.seconds)}, {duration(left)} left"
        )
