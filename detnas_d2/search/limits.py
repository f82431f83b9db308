"""Limits on the costs of a candidate (the constraint eta of the DetNAS paper)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..space import Architecture, BlockCost, SearchSpace
from .errors import LimitError

MAX_DRAWS = 2**18
"""After so many random draws in vain nothing (more) is held to be under a limit."""
CHUNK = 2**11
"""How many are drawn at a time."""


class CostLimit(NamedTuple):
    """At most `maximum` of a cost; CostLimits takes it."""

    cost: BlockCost[Any]
    maximum: float

    def __str__(self) -> str:
        return f"at most {_figure(self.maximum)} {self.cost.unit}"


class CostLimits:
    """The limits of a search, known without evaluating; none at all allow everything."""

    def __init__(self, space: SearchSpace, limits: Sequence[CostLimit]) -> None:
        self.space = space
        self.limits = tuple(limits)

    def allows(self, choices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(N, L) choices of N architectures with L blocks -> (N,) whether each meets the limits."""
        allowed = np.ones(len(choices), dtype=bool)
        for limit in self.limits:
            allowed &= np.asarray(limit.cost(choices)) <= limit.maximum
        return allowed

    def meets(self, architecture: Architecture) -> bool:
        """Whether one does; for a single one it is several times as fast as `allows`."""
        return all(limit.cost(architecture) <= limit.maximum for limit in self.limits)

    def witness(self) -> Architecture:
        """An architecture that meets all. Raises LimitError, which gives the least value of each
        limit alone, where none was found in MAX_DRAWS draws."""
        return self._witness

    @cached_property
    def _witness(self) -> Architecture:
        if not self.limits:
            return Architecture(self.space, tuple(options[0] for options in self.space.options))
        for limit in self.limits:
            if not limit.maximum >= limit.cost.minimum:  # "not >=" refuses NaN too
                minimum = _figure(limit.cost.minimum)
                raise LimitError(
                    f"no architecture of space {self.space.name!r} has {limit}; the smallest has "
                    f"{minimum}. Raise the limit to {minimum} or more."
                )
        if len(self.limits) == 1:
            return self.limits[0].cost.cheapest()
        for rows in self._draws():
            met = rows[self.allows(rows)]
            if len(met):
                return Architecture(self.space, tuple(met[0].tolist()))
        lines = [f"\n  {x}; the smallest has {_figure(x.cost.minimum)}" for x in self.limits]
        raise LimitError(
            f"no architecture of space {self.space.name!r} that meets all limits was found in "
            f"{MAX_DRAWS:,} draws, though each alone can be met. Raise one of them, or more:"
            f"{''.join(lines)}"
        )

    def _draws(self) -> Iterator[NDArray[np.int64]]:
        """(CHUNK, L) choices, in all MAX_DRAWS of them: the cheapest by random weights of the
        costs, with a share of random blocks that grows from none to all."""
        rng = np.random.default_rng(0)
        tables = np.array([x.cost.table / max(abs(x.maximum), 1e-9) for x in self.limits])
        tables[:, ~self.space.allowed] = np.inf
        for share in np.linspace(0, 1, MAX_DRAWS // CHUNK):
            weights = rng.dirichlet(np.ones(len(tables)), CHUNK)
            rows = np.tensordot(weights, tables, axes=1).argmin(axis=2)
            is_random = rng.random(rows.shape) < share
            yield np.where(is_random, self.space.draw(rng, CHUNK), rows)

    def describe(self, architecture: Architecture) -> str:
        """What the architecture has of each limited cost: "12.3 of at most 15 ms of latency"."""
        return ", ".join(f"{_figure(x.cost(architecture))} of {x}" for x in self.limits)


def _figure(value: float) -> str:
    """A limit of this figure allows the value: floats are rounded up."""
    if isinstance(value, float) and math.isfinite(value):
        value = math.ceil(value * 1e4) / 1e4
    return f"{value:,.15g}" if isinstance(value, float) else f"{value:,}"
