"""What a search found, as an object, as a file and as a table."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..files import write_atomically
from .errors import SearchError
from .record import Evaluation, rank

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchResult:
    """The end of a search.

    best: the best of all (ties: see rank). evaluations: all, failed ones included, in the order in
    which the search asked for them. stopped_because: why it ended before its last generation or
    before its count; None if it didn't.
    """

    best: Evaluation
    evaluations: tuple[Evaluation, ...]
    stopped_because: str | None

    def write(self, folder: str | os.PathLike[str]) -> str:
        """Write ``best_architecture.json``, whole or not at all, and tell of the result.

        Returns:
            the file.

        Raises:
            OSError: it can't be written.
        """
        file = os.path.join(folder, "best_architecture.json")
        write_best(file, self.best)
        top = format_top(self.evaluations)
        logger.info(f"The top ten of {len(self.evaluations)} architectures:\n{top}")
        if self.stopped_because:
            logger.info(f"The search ended early: {self.stopped_because}.")
        if self.best.fitness == 0 and not any(self.best.metrics.values()):
            logger.warning(
                "All figures of the best are 0: nothing was detected, or nothing rightly, so the "
                "order of candidates says nothing. The supernet has learnt too little: see "
                "'nothing was detected' in docs/faq.md."
            )
        return file


def make_result(
    best: Evaluation | None, evaluations: Sequence[Evaluation], stopped_because: str | None
) -> SearchResult:
    """Raises SearchError, with the last error, if every candidate failed."""
    if best is None:
        raise SearchError(
            f"all {len(evaluations)} candidates failed; the last error: {evaluations[-1].error}. "
            "Mend its cause and go on with --retry-failed: failed candidates are recorded and not "
            "tried again by themselves."
        )
    return SearchResult(best, tuple(evaluations), stopped_because)


def write_best(path: str | os.PathLike[str], best: Evaluation) -> None:
    """Write best_architecture.json, whole or not at all. Raises OSError."""
    record = {
        **best.architecture.to_json(),
        "fitness": best.fitness,
        "flops": best.flops,
        "params": best.params,
    }
    write_atomically(path, json.dumps(record, allow_nan=False) + "\n")


def format_top(evaluations: Iterable[Evaluation], count: int = 10) -> str:
    """The best `count` as a table: rank, fitness, multiply-adds, parameters, generation, choices.

    The figures are rounded for the reader, after the ranking.
    """
    head = ("rank", "fitness", "multiply-adds", "parameters", "generation", "architecture")
    rows = [head] + [
        (
            str(place),
            f"{e.fitness:.4f}",
            f"{e.flops / 1e6:.2f}M",
            f"{e.params / 1e6:.3f}M",
            str(e.generation),
            str(e.architecture),
        )
        for place, e in enumerate(rank(evaluations)[:count], start=1)
    ]
    return as_columns(rows)


def as_columns(rows: Sequence[Sequence[str]]) -> str:
    """Lines of cells, right-aligned below each other; the last cell of a row is left as it is."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(c.rjust(w) for c, w in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    )
