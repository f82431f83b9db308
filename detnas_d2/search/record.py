"""The record of one evaluated architecture: a line of the ledger."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..space import Architecture, SearchSpace

OK = "ok"
FAILED = "failed"


@dataclass(frozen=True)
class Evaluation:
    """What is known of one architecture.

    architecture: the network. status: "ok" or "failed".
    fitness: more is better, unrounded and finite; None when failed.
    metrics: every figure of the evaluator, None for those that are not finite.
    flops, params: cost of the body (multiply-adds, weights), as CostTable counts them.
    generation: from 0, the one that evaluated it first.
    seconds: wall time of the evaluation; where workers share it, that of its tasks, added up.
    error: "Type: message" when failed, else None.

    Raises ValueError where status, fitness and error contradict each other.
    """

    architecture: Architecture
    status: str
    fitness: float | None
    metrics: Mapping[str, float | None] = field(hash=False)
    flops: int
    params: int
    generation: int
    seconds: float
    error: str | None = None

    def __post_init__(self) -> None:
        if self.status not in (OK, FAILED):
            raise ValueError(f"status must be 'ok' or 'failed', got {self.status!r}")
        is_finite = self.fitness is None or math.isfinite(self.fitness)
        if not is_finite or (self.fitness is None) == self.ok or (self.error is None) != self.ok:
            raise ValueError(
                "status 'ok' needs a finite fitness and no error, 'failed' an error and no "
                f"fitness; got {self.status!r}, {self.fitness!r} and {self.error!r}"
            )

    @property
    def ok(self) -> bool:
        return self.status == OK

    def to_json(self) -> dict[str, Any]:
        """The ledger's keys, in the ledger's order, as builtins."""
        record = {**vars(self), "architecture": list(self.architecture.choices)}
        if self.error is None:
            del record["error"]
        return record

    @classmethod
    def from_json(cls, record: Any, space: SearchSpace) -> Evaluation:
        """The inverse of to_json. Raises ValueError for anything that to_json doesn't write."""
        if not isinstance(record, dict):
            raise ValueError(f"expected a JSON object, got {type(record).__name__}")
        if not _REQUIRED <= record.keys() <= _TYPES.keys():
            missing, unknown = _REQUIRED - record.keys(), record.keys() - _TYPES.keys()
            raise ValueError(f"missing keys {sorted(missing)}, unknown keys {sorted(unknown)}")
        for key, value in record.items():
            # the very types, for a bool is an int in Python, but no number in the ledger
            if type(value) not in _TYPES[key]:
                raise ValueError(f"{key!r} has the value {value!r} of type {type(value).__name__}")
        figures = record["metrics"].values()
        if not (_FIGURE.issuperset(map(type, figures)) and _NOT_FINITE.isdisjoint(figures)):
            raise ValueError(f"'metrics' are not finite numbers or null: {record['metrics']!r}")
        fields = dict(record)
        fields["architecture"] = Architecture(space, tuple(fields["architecture"]))
        return cls(**fields)


_FIGURE: frozenset[type] = frozenset({float, int, type(None)})
_NOT_FINITE = frozenset({math.inf, -math.inf})  # JSON has no NaN, but numbers of any size
_TYPES: dict[str, Collection[type]] = {
    "architecture": (list,),
    "status": (str,),
    "fitness": _FIGURE,
    "metrics": (dict,),
    "flops": (int,),
    "params": (int,),
    "generation": (int,),
    "seconds": (float, int),
    "error": (str,),
}
_REQUIRED = _TYPES.keys() - {"error"}


def rank(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """The evaluations that did not fail, best first.

    Equal fitness: fewer multiply-adds first, then the order of the choices, so that the ranking
    is a function of the set of evaluations alone.
    """
    succeeded = (e for e in evaluations if e.ok)
    return sorted(succeeded, key=lambda e: (-(e.fitness or 0), e.flops, e.architecture.choices))


def best_of(evaluations: Iterable[Evaluation]) -> Evaluation | None:
    """The first of rank(evaluations); None if all failed."""
    return next(iter(rank(evaluations)), None)
