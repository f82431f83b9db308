"""The front of a Pareto search: as an object, as a file and as a table."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..files import write_atomically
from .record import Evaluation
from .results import SearchResult, as_columns

logger = logging.getLogger(__name__)


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
        """Write ``pareto_front.json`` too."""
        best_file = super().write(folder)
        file = os.path.join(folder, "pareto_front.json")
        write_front(file, self)
        logger.info(f"The front, written to {file}:\n{format_front(self)}")
        return best_file

    @classmethod
    def of(cls, result: SearchResult, front: Iterable[TradeOff]) -> ParetoResult:
        """The result with its front, in any order."""
        return cls(
            result.best,
            result.evaluations,
            result.stopped_because,
            tuple(sorted(front, key=_cheapest_first)),
        )


def non_dominated(values: NDArray[np.float64]) -> list[int]:
    """The rows of (N, goals) values, less being better in all, that no other row dominates.

    A row dominates another where it is nowhere greater and somewhere less. Equal rows stay.
    """
    return [
        i
        for i, row in enumerate(values)
        if not ((values <= row).all(axis=1) & (values < row).any(axis=1)).any()
    ]


def write_front(path: str | os.PathLike[str], result: ParetoResult) -> None:
    """Write pareto_front.json, whole or not at all. Raises OSError.

    It holds the space's name, the names of the costs and the list `front`, cheapest first, with
    architecture, fitness, flops, params and those costs of each.
    """
    record = {
        "space": result.best.architecture.space.name,
        "costs": list(result.front[0].costs),
        "front": [
            {
                "architecture": list(t.evaluation.architecture),
                "fitness": t.evaluation.fitness,
                "flops": t.evaluation.flops,
                "params": t.evaluation.params,
                **t.costs,
            }
            for t in result.front
        ],
    }
    write_atomically(path, json.dumps(record, allow_nan=False) + "\n")


def format_front(result: ParetoResult) -> str:
    """The front as a table, cheapest first; figures are rounded for the reader."""
    names = list(result.front[0].costs)
    rows = [("fitness", *names, "generation", "architecture")] + [
        (
            f"{t.evaluation.fitness:.4f}",
            *(_figure(t.costs[name]) for name in names),
            str(t.evaluation.generation),
            str(t.evaluation.architecture),
        )
        for t in result.front
    ]
    return as_columns(rows)


def _cheapest_first(trade_off: TradeOff) -> tuple[tuple[float, ...], tuple[int, ...]]:
    return tuple(trade_off.costs.values()), trade_off.evaluation.architecture.choices


def _figure(cost: float) -> str:
    return f"{cost:,}" if isinstance(cost, int) else f"{cost:,.4f}"
