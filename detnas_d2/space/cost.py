"""Exact multiply-adds and parameters of any architecture, looked up in a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ._values import as_int, as_tuple
from .architecture import Architecture
from .block_cost import BlockCost
from .choices import Choice
from .errors import SpaceError
from .space import SearchSpace

Cost = TypeVar("Cost")

FLOPS_CONVENTION = (
    "the body's convolutions, the first one in; no norm, no ReLU, no classifier and no last "
    "convolution before it"
)
PARAMS_CONVENTION = "the weights of those convolutions, and each norm's scale and shift"


class CostTable:
    """
    Costs of a space at one input size, by the paper's convention: multiply-adds of the body's
    convolutions only (FLOPS_CONVENTION).

    Legend: L blocks, C choices. A stride s takes n positions to ceil(n / s).

    Attributes:
        flops, params: the costs (FLOPS_CONVENTION, PARAMS_CONVENTION), called with architectures.
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
        self.input_size = checked_size(input_size)
        costs = cost_rows(space, self.input_size, _cost, (0, 0))
        height, width = block_resolutions(space, self.input_size)[0]
        self.flops: BlockCost[int] = BlockCost(
            space,
            "multiply-adds",
            [[flops for flops, _ in row] for row in costs],
            space.stem.weights * height * width,
        )
        self.params: BlockCost[int] = BlockCost(
            space,
            "parameters",
            [[params for _, params in row] for row in costs],
            space.stem.params,
        )
        self.block_flops, self.block_params = self.flops.table, self.params.table
        self.stem_flops, self.stem_params = self.flops.constant, self.params.constant
        self.min_flops, self.max_flops = self.flops.minimum, self.flops.maximum

    def by_stage(self, architecture: Architecture) -> list[tuple[str, int, int]]:
        """(name, multiply-adds, parameters) of the stem and of each stage, in order."""
        names = ("stem", *self.space.stage_names)
        flops = [self.stem_flops] + [0] * len(self.space.stages)
        params = [self.stem_params] + [0] * len(self.space.stages)
        architecture = Architecture.parse(architecture, self.space)
        for i, (block, choice) in enumerate(zip(self.space.blocks, architecture, strict=True)):
            flops[block.stage + 1] += int(self.block_flops[i, choice])
            params[block.stage + 1] += int(self.block_params[i, choice])
        return list(zip(names, flops, params, strict=True))

    def cheapest(self) -> Architecture:
        """An architecture of min_flops; of equal choices in a block, the first."""
        return self.flops.cheapest()


def block_resolutions(space: SearchSpace, input_size: Sequence[int]) -> list[tuple[int, int]]:
    """(height, width) of each block's input, for an image of (height, width) pixels."""
    resolutions = []
    height, width = (-(-n // space.stem.stride) for n in input_size)
    for block in space.blocks:
        resolutions.append((height, width))
        height, width = -(-height // block.stride), -(-width // block.stride)
    return resolutions


def cost_rows(
    space: SearchSpace,
    input_size: Sequence[int],
    cost: Callable[[Choice, tuple[int, ...]], Cost],
    nothing: Cost,
) -> list[list[Cost]]:
    """
    What each choice (column) costs in each block (row); `nothing` where it doesn't fit.

    Args:
        cost: called with the choice, and with channels in and out, stride, height and width.

    Raises:
        SpaceError: what `cost` raises, with the place.
    """
    rows = []
    resolutions = block_resolutions(space, input_size)
    for block, options, resolution in zip(space.blocks, space.options, resolutions, strict=True):
        shape = (block.in_channels, block.out_channels, block.stride, *resolution)
        row = [nothing] * space.num_choices
        for i in options:
            choice = space.choices[i]
            try:
                row[i] = cost(choice, shape)
            except ValueError as error:
                place = f"block {block.index_in_stage + 1} of {space.stage_names[block.stage]}"
                raise SpaceError(
                    f"space {space.name!r}: choice {choice.name!r} in {place}: {error}"
                ) from None
        rows.append(row)
    return rows


def _cost(choice: Choice, shape: tuple[int, ...]) -> tuple[int, int]:
    value = choice.cost(*shape)
    numbers = [as_int(number) for number in as_tuple(value) or ()]
    flops, params = numbers if len(numbers) == 2 else (None, None)
    if flops is None or params is None or min(flops, params) < 0:
        raise SpaceError(
            f"its cost is {value!r}; expected (multiply-adds, parameters), two integers of at "
            "least 0"
        )
    return flops, params


def checked_size(input_size: Sequence[int]) -> tuple[int, int]:
    """(height, width) as ints. Raises SpaceError for what isn't two positive integers."""
    items = as_tuple(input_size) or ()
    sizes = [n for n in map(as_int, items) if n is not None and n > 0]
    if len(items) != 2 or len(sizes) != 2:
        raise SpaceError(
            f"the input size is {input_size!r}; expected (height, width), two positive integers"
        )
    return sizes[0], sizes[1]
