"""Exact multiply-adds and parameters of any architecture, looked up in a table."""

from __future__ import annotations

from collections.abc import Sequence

from ._values import as_int, as_tuple
from .architecture import Architecture
from .block_cost import BlockCost
from .errors import SpaceError
from .space import BlockSpec, SearchSpace

FLOPS_CONVENTION = (
    "the body's convolutions, the first one in; no norm, no ReLU, no classifier and no last "
    "convolution before it"
)
PARAMS_CONVENTION = "the weights of those convolutions, and each norm's scale and shift"


class CostTable:
    """
    Costs of a space at one input size, by the paper's convention: multiply-adds of the body's
    convolutions only (FLOPS_CONVENTION).

    A stride s takes n positions to ceil(n / s). The stem is the constant of each cost.

    Attributes:
        flops, params: the costs (FLOPS_CONVENTION, PARAMS_CONVENTION), called with architectures;
            integers.

    Args:
        input_size: (height, width) in pixels.

    Raises:
        SpaceError: for an input size that isn't two positive integers.
    """

    def __init__(self, space: SearchSpace, input_size: Sequence[int] = (224, 224)) -> None:
        self.space = space
        self.input_size = checked_size(input_size)
        resolutions = block_resolutions(space, self.input_size)
        height, width = resolutions[0]
        rows = [
            [
                _cost(space, block, i, size) if i in options else (0, 0)
                for i in range(space.num_choices)
            ]
            for block, options, size in zip(space.blocks, space.options, resolutions, strict=True)
        ]
        flops, params = ([[cost[i] for cost in row] for row in rows] for i in (0, 1))
        stem = space.stem
        self.flops: BlockCost[int] = BlockCost(
            space, "multiply-adds", flops, stem.weights * height * width
        )
        self.params: BlockCost[int] = BlockCost(space, "parameters", params, stem.params)

    def by_stage(self, architecture: Architecture) -> list[tuple[str, int, int]]:
        """(name, multiply-adds, parameters) of the stem and of each stage, in order."""
        costs = {name: [0, 0] for name in ("stem", *self.space.stage_names)}
        costs["stem"] = [self.flops.constant, self.params.constant]
        architecture = Architecture.parse(architecture, self.space)
        for i, (block, choice) in enumerate(zip(self.space.blocks, architecture, strict=True)):
            stage = costs[self.space.stage_names[block.stage]]
            for k, cost in enumerate((self.flops, self.params)):
                stage[k] += int(cost.table[i, choice])
        return [(name, flops, params) for name, (flops, params) in costs.items()]


def block_resolutions(space: SearchSpace, input_size: Sequence[int]) -> list[tuple[int, int]]:
    """(height, width) of each block's input, for an image of (height, width) pixels."""
    resolutions = []
    height, width = (-(-n // space.stem.stride) for n in input_size)
    for block in space.blocks:
        resolutions.append((height, width))
        height, width = -(-height // block.stride), -(-width // block.stride)
    return resolutions


def _cost(
    space: SearchSpace, block: BlockSpec, number: int, resolution: tuple[int, int]
) -> tuple[int, int]:
    choice = space.choices[number]
    try:
        value = choice.cost(*block.shape, *resolution)
        numbers = [n for n in map(as_int, as_tuple(value) or ()) if n is not None and n >= 0]
        if len(numbers) != 2 or len(value) != 2:
            raise SpaceError(
                f"its cost is {value!r}; expected (multiply-adds, parameters), two integers of at "
                "least 0"
            )
    except ValueError as error:
        where = f"space {space.name!r}: choice {choice.name!r} in {block}"
        raise SpaceError(f"{where}: {error}") from None
    return numbers[0], numbers[1]


def checked_size(input_size: Sequence[int]) -> tuple[int, int]:
    """(height, width) as ints. Raises SpaceError for what isn't two positive integers."""
    items = as_tuple(input_size) or ()
    sizes = [n for n in map(as_int, items) if n is not None and n > 0]
    if len(items) != 2 or len(sizes) != 2:
        raise SpaceError(
            f"the input size is {input_size!r}; expected (height, width), two positive integers"
        )
    return sizes[0], sizes[1]
