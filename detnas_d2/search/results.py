"""What a search found, as an object, as files and as tables."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from ..files import write_json
from .errors import SearchError
from .record import Evaluation, best_of, rank

BEST_FILE = "best_architecture.json"
FRONT_FILE = "pareto_front.json"
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
        file = os.path.join(folder, BEST_FILE)
        write_best(file, self.best)
        top = format_top(self.evaluations)
        logger.info(f"The top ten of {len(self.evaluations)} architectures:\n{top}")
        if self.stopped_because:
            logger.info(f"The search ended early: {self.stopped_because}.")
        if self.best.fitness == 0 and not any(self.best.metrics.values()):
            logger.warning(
                "All figures of the best are 0: nothing was detected, or nothing rightly, so the "
                "order of candidates says nothing. The supernet, or each candidate trained, has "
                "learnt too little: see 'nothing was detected' in docs/faq.md."
            )
        return file


@dataclass(frozen=True)
class TradeOff:
    """An architecture of the front; costs: by name, those that were weighed."""

    evaluation: Evaluation
    costs: Mapping[str, float] = field(hash=False)


@dataclass(frozen=True)
class ParetoResult(SearchResult):
    """front: the candidates that no other one dominates (nowhere worse in fitness and costs, and
    somewhere better), cheapest first; equal ones are all in it."""

    front: tuple[TradeOff, ...]

    def write(self, folder: str | os.PathLike[str]) -> str:
        """Write ``pareto_front.json`` too: the space's name, the names of the costs, and the list
        ``front``, cheapest first, with architecture, fitness, flops, params and those costs."""
        best_file = super().write(folder)
        file = os.path.join(folder, FRONT_FILE)
        names = list(self.front[0].costs)
        record = {
            "space": self.best.architecture.space.name,
            "costs": names,
            "front": [{**_brief(t.evaluation), **t.costs} for t in self.front],
        }
        write_json(file, record)
        rows = [
            (
                f"{t.evaluation.fitness:.4f}",
                *(f"{c:,}" if isinstance(c, int) else f"{c:,.4f}" for c in t.costs.values()),
                t.evaluation.generation,
                t.evaluation.architecture,
            )
            for t in self.front
        ]
        table = _as_table(["fitness", *names, "generation", "architecture"], rows)
        logger.info(f"The front, written to {file}:\n{table}")
        return best_file


def non_dominated(values: NDArray[np.float64]) -> list[int]:
    """The rows of (N, goals) values, less being better in all, that no other row dominates.

    A row dominates another where it is nowhere greater and somewhere less. Equal rows stay.
    """
    return [
        i
        for i, row in enumerate(values)
        if not ((values <= row).all(axis=1) & (values < row).any(axis=1)).any()
    ]


def make_result(evaluations: Sequence[Evaluation], stopped_because: str | None) -> SearchResult:
    """Raises SearchError, with the last error, if every candidate failed."""
    best = best_of(evaluations)
    if best is None:
        raise SearchError(
            f"all {len(evaluations)} candidates failed; the last error: {evaluations[-1].error}. "
            "Mend its cause and go on with --retry-failed: failed candidates are recorded and not "
            "tried again by themselves."
        )
    return SearchResult(best, tuple(evaluations), stopped_because)


def write_best(path: str | os.PathLike[str], best: Evaluation) -> None:
    """Write best_architecture.json, whole or not at all. Raises OSError."""
    record = {"space": best.architecture.space.name, **_brief(best)}
    write_json(path, record)


def format_top(evaluations: Iterable[Evaluation]) -> str:
    """The best ten as a table; the figures are rounded for the reader, after the ranking."""
    head = ["rank", "fitness", "multiply-adds", "parameters", "generation", "architecture"]
    rows = [
        (
            place,
            f"{e.fitness:.4f}",
            f"{e.flops / 1e6:.2f}M",
            f"{e.params / 1e6:.3f}M",
            e.generation,
            e.architecture,
        )
        for place, e in enumerate(rank(evaluations)[:10], start=1)
    ]
    return _as_table(head, rows)


def _brief(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "architecture": list(evaluation.architecture),
        "fitness": evaluation.fitness,
        "flops": evaluation.flops,
        "params": evaluation.params,
    }


def _as_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Right-aligned columns but for the last."""
    cells = [[str(cell) for cell in row] for row in rows]
    align = ["right"] * (len(head) - 1) + ["left"]
    return str(tabulate(cells, head, "plain", disable_numparse=True, colalign=align))
