"""TensorBoard scalars of a search, beside those of the trainings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from torch.utils.tensorboard import SummaryWriter

from ..search import Evaluation
from ..search.record import best_of
from ..space import Architecture


class SearchScalars:
    """An `Observer` that writes each candidate to TensorBoard, its step the number of candidates.

    ``search/fitness``, ``search/best_fitness``, ``search/metrics/<name>``, ``search/flops`` (M
    multiply-adds), ``search/params`` (M), ``search/generation``, ``search/seconds`` and
    ``search/failed`` (how many by now). A resumed search writes those of the ledger again, in the
    place of what an interrupted one has written.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self._writer = SummaryWriter(str(folder), purge_step=1)
        self._seen: set[Architecture] = set()
        self._failed = 0
        self._best: Evaluation | None = None

    def __enter__(self) -> SearchScalars:
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):  # on a full disk they are cut off, and the search says why it ends
            self._writer.close()

    def begin_batch(self, known: Sequence[Evaluation]) -> None:
        for evaluation in known:
            self.evaluated(evaluation)

    def evaluated(self, evaluation: Evaluation) -> None:
        if evaluation.architecture in self._seen:
            return
        self._seen.add(evaluation.architecture)
        self._failed += not evaluation.ok
        self._best = best_of([evaluation, *([self._best] if self._best else [])])
        scalars = {
            "fitness": evaluation.fitness,
            "best_fitness": self._best.fitness if self._best else None,
            **{f"metrics/{name}": value for name, value in evaluation.metrics.items()},
            "flops": evaluation.flops / 1e6,
            "params": evaluation.params / 1e6,
            "generation": evaluation.generation,
            "seconds": evaluation.seconds,
            "failed": self._failed,
        }
        for name, value in scalars.items():
            if value is not None:
                self._writer.add_scalar(f"search/{name}", value, len(self._seen))
