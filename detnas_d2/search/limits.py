"""Limits on the cost of a candidate (the constraint eta of the DetNAS paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..space import Architecture, CostTable
from .errors import LimitError


class Limit(Protocol):
    """What a candidate has to meet; known without evaluating it."""

    def allows(self, choices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(N, L) choices of N architectures with L blocks -> (N,) whether each meets the limit."""

    def witness(self) -> Architecture:
        """An architecture that meets it. Raises LimitError, which gives the nearest feasible
        value, if none does."""


@dataclass(frozen=True)
class FlopsLimit:
    """At most `maximum` multiply-adds of the body, at the cost table's input size."""

    cost: CostTable
    maximum: float

    def allows(self, choices: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(self.cost.flops(choices)) <= self.maximum

    def witness(self) -> Architecture:
        if not self.maximum >= self.cost.min_flops:  # "not >=" refuses NaN too
            raise LimitError(
                f"no architecture of space {self.cost.space.name!r} has at most "
                f"{self.maximum:,.0f} multiply-adds; the smallest has {self.cost.min_flops:,}. "
                f"Raise the limit to {self.cost.min_flops:,} or more."
            )
        return self.cost.cheapest()
