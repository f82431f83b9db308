"""search.json: what a search said of itself as it started, read as data alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..driver.retraining import Retraining
from ..files import parse_json
from ..space import Architecture, Choice, SearchSpace, Stage

_OF_RETRAINING = [field.name for field in fields(Retraining)]


@dataclass(frozen=True)
class NamedChoice(Choice):
    """A choice of which no more than the name is known: no module of the user's is imported."""

    name: str
    block: str = "of the search"

    def branches(self, *shape: int) -> tuple[()]:
        return ()


@dataclass(frozen=True)
class Cost:
    """A cost that is looked up: of the stem, and (L, C) of L blocks with C choices, in `unit`.

    is_weighed: by a Pareto search.
    """

    name: str
    unit: str
    limit: float | None
    stem: float
    blocks: NDArray[np.float64]
    is_weighed: bool

    def __call__(self, network: Iterable[int]) -> float:
        return self.stem + float(self.of_blocks(network).sum())

    def of_blocks(self, network: Iterable[int]) -> NDArray[np.float64]:
        """(L,), the cost of each block."""
        costs: NDArray[np.float64] = self.blocks[np.arange(len(self.blocks)), list(network)]
        return costs


@dataclass(frozen=True)
class StageShape:
    """Blocks of a stage (0: the stem), and what it gives out: channels, height and width."""

    name: str
    blocks: int
    channels: int
    size: str


@dataclass(frozen=True)
class SearchFile:
    """What search.json holds. weights: where candidates have theirs from, see `CandidateFitness`.
    stages: the stem and the stages. baseline: the first choice that fits in every block.
    candidates: of the whole search."""

    metric: str
    weights: str
    candidates: int
    input_size: str
    space: SearchSpace
    stages: Sequence[StageShape]
    baseline: Architecture
    costs: Mapping[str, Cost]
    retrain: Sequence[Retraining]


def read_search_file(file: Path) -> SearchFile:
    """
    Raises:
        any Exception: there is none, or it holds something else.
    """
    content = parse_json(file.read_bytes())
    described = content["space"]
    stages = [
        StageShape(
            str(s["name"]), int(s.get("blocks", 0)), int(s["channels"]), _size(s["resolution"])
        )
        for s in (described["stem"], *described["stages"])
    ]
    names = [str(name) for name in described["choices"]]
    shape = (sum(s.blocks for s in stages), len(names))
    space = SearchSpace(
        str(described["name"]),
        stages[0].channels,
        tuple(Stage(s.channels, s.blocks) for s in stages[1:]),
        tuple(map(NamedChoice, names)),
    )
    costs = {c.name: c for c in (_cost(entry, shape) for entry in content["costs"])}
    return SearchFile(
        str(content["metric"]),
        str(content.get("weights", "supernet")),  # earlier versions knew no other
        int(content["candidates"]),
        _size(content["input_size"]),
        space,
        stages,
        Architecture(space, tuple(content["baseline"])),
        {"flops": costs["flops"], "params": costs["params"], **costs},
        [Retraining(**{k: str(r[k]) for k in _OF_RETRAINING}) for r in content["retrain"]],
    )


def _cost(entry: Mapping[str, Any], shape: tuple[int, int]) -> Cost:
    limit = None if entry["limit"] is None else float(entry["limit"])
    blocks = np.array(entry["blocks"], dtype=float)
    if blocks.shape != shape or not np.isfinite(blocks).all():
        raise ValueError(f"the cost {entry['name']!r} has no finite figure of each choice")
    names, stem = (str(entry["name"]), str(entry["unit"])), float(entry["stem"])
    return Cost(*names, limit, stem, blocks, bool(entry.get("weighed")))


def _size(size: Sequence[int]) -> str:
    height, width = map(int, size)
    return f"{height}×{width}"
