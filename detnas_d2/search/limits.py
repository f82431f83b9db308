"""Limits on the costs of a candidate (the constraint eta of the DetNAS paper)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..space import Architecture, BlockCost, SearchSpace
from .errors import LimitError
from .least import least


class Limit(Protocol):
    """What a candidate has to meet; known without evaluating it."""

    def allows(self, choices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(N, L) choices of N architectures with L blocks -> (N,) whether each meets the limit."""

    def meets(self, architecture: Architecture) -> bool:
        """Whether one does; for a single one it is several times as fast as `allows`."""

    def witness(self) -> Architecture:
        """An architecture that meets it. Raises LimitError, which gives the nearest feasible
        value, if none does."""


class CostLimit(NamedTuple):
    """At most `maximum` of a cost."""

    cost: BlockCost[Any]
    maximum: float

    def allows(self, choices: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(self.cost(choices)) <= self.maximum

    def meets(self, architecture: Architecture) -> bool:
        return bool(self.cost(architecture) <= self.maximum)

    def witness(self) -> Architecture:
        if not self.maximum >= self.cost.minimum:  # "not >=" refuses NaN too
            minimum = _figure(self.cost.minimum)
            raise LimitError(
                f"no architecture of space {self.cost.space.name!r} has {self}; the smallest has "
                f"{minimum}. Raise the limit to {minimum} or more."
            )
        return self.cost.cheapest()

    def __str__(self) -> str:
        return f"at most {_figure(self.maximum)} {self.cost.unit}"


class CostLimits:
    """Several limits at once; none at all allow everything."""

    def __init__(self, space: SearchSpace, limits: Sequence[CostLimit]) -> None:
        self.space = space
        self.limits = tuple(limits)

    def allows(self, choices: NDArray[np.int64]) -> NDArray[np.bool_]:
        allowed = np.ones(len(choices), dtype=bool)
        for limit in self.limits:
            allowed &= limit.allows(choices)
        return allowed

    def meets(self, architecture: Architecture) -> bool:
        return all(limit.meets(architecture) for limit in self.limits)

    def witness(self) -> Architecture:
        """An architecture that meets all. Raises LimitError, which gives for each limit the least
        value that is feasible, alone or beside the others."""
        return self._witness

    @cached_property
    def _witness(self) -> Architecture:
        if not self.limits:
            return Architecture(self.space, tuple(options[0] for options in self.space.options))
        for limit in self.limits:
            limit.witness()
        first, *others = self.limits
        found = least(first.cost, others)
        if found is None or first.cost(found) > first.maximum:
            raise LimitError(
                f"no architecture of space {self.space.name!r} meets all limits, though each alone "
                f"can be met. {self._remedy()}"
            )
        return found

    def _remedy(self) -> str:
        lines = []
        for limit in self.limits:
            found = least(limit.cost, [x for x in self.limits if x is not limit])
            if found is not None:
                lines.append(f"\n  {limit}: {_figure(limit.cost(found))}")
        if lines:
            return f"Raise one of these to the figure behind it, or more:{''.join(lines)}"
        feasible: list[CostLimit] = []
        for limit in self.limits:
            found = least(limit.cost, feasible)
            assert found is not None  # each of `feasible` was chosen so
            feasible.append(CostLimit(limit.cost, max(limit.maximum, limit.cost(found))))
        return (
            "Raising one is not enough; the least that can be met together, the first as it is: "
            f"{', '.join(map(str, feasible))}."
        )

    def describe(self, architecture: Architecture) -> str:
        """What the architecture has of each limited cost: "12.3 of at most 15 ms of latency"."""
        return ", ".join(f"{_figure(x.cost(architecture))} of {x}" for x in self.limits)


def _figure(value: float) -> str:
    """A limit of this figure allows the value: floats are rounded up."""
    if isinstance(value, float) and math.isfinite(value):
        value = math.ceil(value * 1e4) / 1e4
    return f"{value:,.15g}" if isinstance(value, float) else f"{value:,}"
