"""A cost of architectures, looked up in a table of what each choice costs in each block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture
from .errors import ArchitectureError, SpaceError
from .space import SearchSpace

Number = TypeVar("Number", int, float)
QUANTUM = 2.0**-13  # of float tables: 0.12 µs where the unit is a millisecond


class BlockCost(Generic[Number]):
    """
    A cost that is a sum over the blocks.

    Legend: L blocks, C choices, N architectures. Integers stay integers and are exact; floats are
    rounded to multiples of QUANTUM, so that their sums are exact too, whatever the order.

    Attributes:
        table: (L, C) int64 or float64, read-only; 0 where a choice doesn't fit the block.
        constant: what every architecture has besides: added.
        unit: plural, as messages name it.
        minimum, maximum: exact over the whole space.

    Args:
        rows: the table, a row a block; what stands where a choice doesn't fit is not looked at.

    Raises:
        SpaceError: if 64 bits don't hold the costs.
    """

    def __init__(
        self,
        space: SearchSpace,
        unit: str,
        rows: Sequence[Sequence[Number]],
        constant: Number,
    ) -> None:
        self.space = space
        self.unit = unit
        self.constant: Number = _exact(constant)
        self._rows = tuple(
            tuple(_exact(cost if fits else 0 * cost) for cost, fits in zip(row, fit, strict=True))
            for row, fit in zip(rows, space.allowed.tolist(), strict=True)
        )
        fitting = [
            [row[c] for c in options]
            for row, options in zip(self._rows, space.options, strict=True)
        ]
        self.minimum: Number = sum(map(min, fitting), self.constant)
        self.maximum: Number = sum(map(max, fitting), self.constant)
        if self.maximum > np.iinfo(np.int64).max:
            raise SpaceError(
                f"space {space.name!r}: {self.maximum:.2e} {unit} are more than 64 bits count; "
                "make the channels or the input smaller"
            )
        self.table: NDArray[Any] = np.array(self._rows)
        self.table.setflags(write=False)

    @overload
    def __call__(self, architectures: Architecture) -> Number: ...
    @overload
    def __call__(self, architectures: Sequence[int] | NDArray[Any]) -> Number | NDArray[Any]: ...

    def __call__(
        self, architectures: Architecture | Sequence[int] | NDArray[Any]
    ) -> Number | NDArray[Any]:
        """
        A number for one architecture (an Architecture, or L integers), (N,) for an (N, L) array
        of integers.

        Raises:
            ArchitectureError: for another space, shape, type or a choice out of range.
        """
        if isinstance(architectures, np.ndarray) and architectures.ndim == 2:
            self._check_array(architectures)
            costs = self.table[np.arange(len(self.table)), architectures]
            sums: NDArray[Any] = np.sum(costs, axis=1, initial=self.constant)
            return sums
        architecture = Architecture.parse(architectures, self.space)
        costs = [row[c] for row, c in zip(self._rows, architecture, strict=True)]
        total: Number = sum(costs, self.constant)
        return total

    def cheapest(self) -> Architecture:
        """An architecture of the least cost; of equal choices in a block, the first."""
        blocks = zip(self._rows, self.space.options, strict=True)
        cheapest = (min(options, key=row.__getitem__) for row, options in blocks)
        return Architecture(self.space, tuple(cheapest))

    def _check_array(self, choices: NDArray[Any]) -> None:
        blocks, options = self.table.shape
        if choices.shape[1] != blocks or choices.dtype.kind not in "iu":
            raise ArchitectureError(
                f"an array of shape {choices.shape} and type {choices.dtype}; expected integers "
                f"of shape (N, {blocks}) for space {self.space.name!r}"
            )
        in_range = (choices >= 0) & (choices < options)
        inside = np.where(in_range, choices, 0)
        wrong = np.argwhere(~in_range | ~self.space.allowed[np.arange(blocks), inside])
        if len(wrong):
            row, block = wrong[0]
            try:
                Architecture(self.space, tuple(choices[row].tolist()))
            except ArchitectureError as error:
                raise ArchitectureError(f"row {row} of the array: {error}") from None


def _exact(cost: Any) -> Any:
    return round(cost / QUANTUM) * QUANTUM if isinstance(cost, float) else int(cost)
