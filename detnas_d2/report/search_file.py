"""search.json: what a search said of itself as it started, read as data alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..driver.retraining import Retraining
from ..errors import DetNASError
from ..files import parse_json
from ..space import Architecture, Choice, SearchSpace, Stage

SEARCH = "search.json"
# what a file of any content makes fail
UNREADABLE: tuple[type[Exception], ...] = (DetNASError, OSError, ValueError, LookupError)
UNREADABLE += (TypeError, AttributeError, ArithmeticError)
_MOST = 1000  # blocks or choices that a ledger alone may tell


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
    is_weighed: bool = False

    def __call__(self, network: Iterable[int]) -> float:
        return self.stem + float(self.of_blocks(network).sum())

    def of_blocks(self, network: Iterable[int]) -> NDArray[np.float64]:
        """(L,), the cost of each block."""
        costs: NDArray[np.float64] = self.blocks[np.arange(len(self.blocks)), list(network)]
        return costs


FLOPS_ALONE = Cost("flops", "multiply-adds", None, 0.0, np.zeros((0, 0)))
"""Without search.json; the ledger has the multiply-adds of each network."""


@dataclass(frozen=True)
class StageShape:
    """Blocks of a stage (0: the stem), and what it gives out: channels, height and width."""

    name: str
    blocks: int
    channels: int
    size: tuple[int, int]


@dataclass(frozen=True)
class SearchFile:
    """What search.json holds. stages: the stem and the stages. baseline: the first choice that fits
    in every block. candidates: of the whole search."""

    metric: str
    candidates: int
    input_size: tuple[int, int]
    space: SearchSpace
    stages: Sequence[StageShape]
    baseline: Architecture
    costs: Mapping[str, Cost]
    retrain: Sequence[Retraining]


def read_search_file(folder: Path) -> SearchFile:
    """
    Raises:
        any of UNREADABLE: there is none, or it holds something else.
    """
    content = parse_json((folder / SEARCH).read_bytes())
    described = content["space"]
    stages = [
        StageShape(str(s["name"]), int(s.get("blocks", 0)), int(s["channels"]), _size(s))
        for s in (described["stem"], *described["stages"])
    ]
    length = sum(s.blocks for s in stages)
    names = [str(name) for name in described["choices"]]
    costs = {c.name: c for c in map(_cost, content["costs"])}
    if any(c.blocks.shape != (length, len(names)) for c in costs.values()):
        raise ValueError(f"costs are not of {length} blocks with {len(names)} choices each")
    space = SearchSpace(
        str(described["name"]),
        stages[0].channels,
        tuple(Stage(s.channels, s.blocks) for s in stages[1:]),
        tuple(map(NamedChoice, names)),
    )
    return SearchFile(
        str(content["metric"]),
        int(content["candidates"]),
        _size({"resolution": content["input_size"]}),
        space,
        stages,
        Architecture(space, tuple(content["baseline"])),
        {"flops": costs["flops"], "params": costs["params"], **costs},
        [_retraining(r) for r in content["retrain"]],
    )


def space_of_ledger(records: Sequence[Any]) -> SearchSpace:
    """The space as far as the architectures of a ledger tell it: choices are called by numbers.

    Raises:
        ValueError: there is no architecture in it.
    """
    rows = [r["architecture"] for r in records if isinstance(r, dict) and "architecture" in r]
    rows = [r for r in rows if isinstance(r, list) and {type(c) for c in r} == {int}]
    count = 1 + max((max(row) for row in rows), default=_MOST)
    if count > _MOST:
        raise ValueError("no line of it has an architecture")
    choices = tuple(NamedChoice(f"choice {i}") for i in range(count))
    return SearchSpace("of the ledger", 1, (Stage(1, len(rows[0])),), choices)


def _cost(entry: Mapping[str, Any]) -> Cost:
    limit = entry["limit"]
    blocks = np.array(entry["blocks"], dtype=float)
    if not np.isfinite(blocks).all():
        raise ValueError(f"the cost {entry['name']!r} is not finite")
    limit = None if limit is None else float(limit)
    names, stem = (str(entry["name"]), str(entry["unit"])), float(entry["stem"])
    return Cost(*names, limit, stem, blocks, bool(entry.get("weighed")))


def _retraining(entry: Mapping[str, Any]) -> Retraining:
    fields: dict[str, Any] = {k: str(v) for k, v in entry.items()}
    return Retraining(**{**fields, "moved": bool(entry.get("moved"))})


def _size(entry: Mapping[str, Any]) -> tuple[int, int]:
    height, width = entry["resolution"]
    return int(height), int(width)
