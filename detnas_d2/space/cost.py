"""Exact multiply-adds and parameters of any architecture, looked up in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ._values import as_int, as_tuple
from .architecture import Architecture
from .errors import ArchitectureError, SpaceError
from .space import SearchSpace

FLOPS_CONVENTION = (
    "the body's convolutions, the first one in; no norm, no ReLU, no classifier and no last "
    "convolution before it"
)
PARAMS_CONVENTION = "the weights of those convolutions, and each norm's scale and shift"


class CostTable:
    """
    Costs of a space at one input size, by the paper's convention: multiply-adds of the body's
    convolutions only (FLOPS_CONVENTION).

    Legend: L blocks, C choices, N architectures. A stride s takes n positions to ceil(n / s).

    Attributes:
        block_flops, block_params: (L, C) int64, read-only.
        stem_flops, stem_params: int; in every total.
        min_flops, max_flops: int, exact over the whole space.

    Args:
        input_size: (height, width) in pixels.

    Raises:
        SpaceError: for an input size that isn't two positive integers.
    """

    def __init__(self, space: SearchSpace, input_size: Sequence[int] = (224, 224)) -> None:
        self.space = space
        self.input_size = _checked_size(input_size)
        stem = space.stem
        height, width = (-(-n // stem.stride) for n in self.input_size)
        self.stem_flops = stem.weights * height * width
        self.stem_params = stem.params
        rows = []
        for b in space.blocks:
            rows.append(
                [
                    choice.cost(b.in_channels, b.out_channels, b.stride, height, width)
                    for choice in space.choices
                ]
            )
            height, width = -(-height // b.stride), -(-width // b.stride)
        self._flops_rows = tuple(tuple(int(flops) for flops, _ in row) for row in rows)
        self._params_rows = tuple(tuple(int(params) for _, params in row) for row in rows)
        self.min_flops = self.stem_flops + sum(map(min, self._flops_rows))
        self.max_flops = self.stem_flops + sum(map(max, self._flops_rows))
        if self.max_flops > np.iinfo(np.int64).max:
            raise SpaceError(
                f"space {space.name!r} at {self.input_size}: {self.max_flops:.2e} multiply-adds "
                "are more than 64 bits count; make the channels or the input smaller"
            )
        self.block_flops = _read_only(self._flops_rows)
        self.block_params = _read_only(self._params_rows)

    @overload
    def flops(self, architectures: Architecture) -> int: ...
    @overload
    def flops(self, architectures: Sequence[int] | NDArray[Any]) -> int | NDArray[np.int64]: ...

    def flops(
        self, architectures: Architecture | Sequence[int] | NDArray[Any]
    ) -> int | NDArray[np.int64]:
        """
        Multiply-adds: an int for one architecture (an Architecture, or L integers), (N,) int64
        for an (N, L) array of integers.

        Raises:
            ArchitectureError: for another space, shape, type or a choice out of range.
        """
        return self._look_up(self._flops_rows, self.block_flops, self.stem_flops, architectures)

    @overload
    def params(self, architectures: Architecture) -> int: ...
    @overload
    def params(self, architectures: Sequence[int] | NDArray[Any]) -> int | NDArray[np.int64]: ...

    def params(
        self, architectures: Architecture | Sequence[int] | NDArray[Any]
    ) -> int | NDArray[np.int64]:
        """Parameters (PARAMS_CONVENTION), in the forms and with the errors of `flops`."""
        return self._look_up(self._params_rows, self.block_params, self.stem_params, architectures)

    def by_stage(self, architecture: Architecture) -> list[tuple[str, int, int]]:
        """(name, multiply-adds, parameters) of the stem and of each stage, in order."""
        names = ("stem", *self.space.stage_names)
        flops = [self.stem_flops] + [0] * len(self.space.stages)
        params = [self.stem_params] + [0] * len(self.space.stages)
        architecture = Architecture.parse(architecture, self.space)
        for block, f, p, choice in zip(
            self.space.blocks, self._flops_rows, self._params_rows, architecture, strict=True
        ):
            flops[block.stage + 1] += f[choice]
            params[block.stage + 1] += p[choice]
        return list(zip(names, flops, params, strict=True))

    def cheapest(self) -> Architecture:
        """An architecture of min_flops; of equal choices in a block, the first."""
        return Architecture(self.space, tuple(row.index(min(row)) for row in self._flops_rows))

    def _look_up(
        self,
        rows: tuple[tuple[int, ...], ...],
        table: NDArray[np.int64],
        stem: int,
        architectures: Architecture | Sequence[int] | NDArray[Any],
    ) -> int | NDArray[np.int64]:
        if isinstance(architectures, np.ndarray) and architectures.ndim == 2:
            choices = self._checked_array(architectures)
            totals: NDArray[np.int64] = table[np.arange(len(table)), choices].sum(axis=1)
            return totals + stem
        architecture = Architecture.parse(architectures, self.space)
        return stem + sum(row[choice] for row, choice in zip(rows, architecture, strict=True))

    def _checked_array(self, choices: NDArray[Any]) -> NDArray[Any]:
        blocks, options = self.block_flops.shape
        if choices.shape[1] != blocks or choices.dtype.kind not in "iu":
            raise ArchitectureError(
                f"an array of shape {choices.shape} and type {choices.dtype}; expected integers "
                f"of shape (N, {blocks}) for space {self.space.name!r}"
            )
        wrong = np.argwhere((choices < 0) | (choices >= options))
        if len(wrong):
            row, block = wrong[0]
            try:
                Architecture(self.space, tuple(choices[row].tolist()))
            except ArchitectureError as error:
                raise ArchitectureError(f"row {row} of the array: {error}") from None
        return choices


def _checked_size(input_size: Sequence[int]) -> tuple[int, int]:
    items = as_tuple(input_size)
    numbers = [as_int(item) for item in items or ()]
    sizes = [number for number in numbers if number is not None and number > 0]
    if items is None or len(items) != 2 or len(sizes) != 2:
        raise SpaceError(
            f"the input size is {input_size!r}; expected (height, width), two positive integers"
        )
    return sizes[0], sizes[1]


def _read_only(rows: tuple[tuple[int, ...], ...]) -> NDArray[np.int64]:
    table = np.array(rows, dtype=np.int64)
    table.setflags(write=False)
    return table
