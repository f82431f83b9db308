"""
Samplers of training paths: each is a pure function of (seed, iteration).

The bits of iteration i are those of numpy's PCG64 keyed by SeedSequence([seed, i]), a specified
algorithm: every rank and every machine draws the same path, and a resumed run goes on with the
paths that it would have had. No state is kept.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from numbers import Real

import numpy as np

from ._values import as_int
from .architecture import Architecture
from .cost import CostTable
from .counting import PathCosts, PathsBetween
from .errors import SpaceError
from .space import SearchSpace
from .spaces import resolve_space


class PathSampler(ABC):
    """
    Maps an iteration (from 0) to the path that is trained in it.

    Raises:
        SpaceError: for a seed, or later an iteration, that isn't an integer of at least 0.
    """

    def __init__(self, space: SearchSpace | str, seed: int) -> None:
        self.space = resolve_space(space)
        self.seed = _non_negative(seed, "seed")

    def __call__(self, iteration: int) -> Architecture:
        key = [self.seed, _non_negative(iteration, "iteration")]
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
        return Architecture(self.space, self._draw(rng))

    @abstractmethod
    def _draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """The choices of one path."""


class UniformPathSampler(PathSampler):
    """Every architecture of the space with the same probability (Algorithm 1, lines 4 and 9)."""

    def _draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        return tuple(self.space.draw(rng, 1)[0].tolist())


class FlopsRangePathSampler(PathSampler):
    """
    A bin of a range of multiply-adds, uniformly, and a path in it, uniformly: the authors'
    ImageNet supernet is trained so (their Supernet-ImageNet/train.py, with seven bins).

    The range is cut into bins of equal width. Both ends of a bin belong to it, as in the authors'
    code: a path on the edge of two bins is in both. The paths of a bin are counted exactly, and a
    draw is the number of one of them, so that it takes the same time however few they are. (The
    authors draw from the whole space until a path fits, and take any after 500 misses.)

    Args:
        low, high: multiply-adds, as CostTable counts them at input_size (height, width); both
            are in the range.
        bins: how many; one makes every path of the range equally likely.

    Attributes:
        counts: how many architectures lie in each bin.

    Raises:
        SpaceError: for wrong numbers; if no path lies in a bin (it names the nearest reachable
            values); if the space has too many different costs to be counted.
    """

    def __init__(
        self,
        space: SearchSpace | str,
        seed: int,
        low: float,
        high: float,
        input_size: Sequence[int] = (224, 224),
        bins: int = 1,
    ) -> None:
        super().__init__(space, seed)
        for name, value in (("low", low), ("high", high)):
            if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
                raise SpaceError(f"{name} is {value!r}; expected a number of multiply-adds")
        if low > high:
            raise SpaceError(f"low is {low:,} and high {high:,}; expected low <= high")
        number = as_int(bins)
        if number is None or number < 1:
            raise SpaceError(f"bins is {bins!r}; expected an integer of at least 1")
        cost = CostTable(self.space, input_size)
        costs = PathCosts(cost.block_flops, self.space.allowed)
        edges = [low, *(low + (high - low) / number * i for i in range(1, number)), high]
        self._bins: list[PathsBetween] = []
        for i, (start, end) in enumerate(pairwise(edges), 1):
            ends = math.ceil(start) - cost.stem_flops, math.floor(end) - cost.stem_flops
            paths = costs.between(*ends)
            if not paths.count:
                nearest = [n + cost.stem_flops for n in costs.neighbours(*ends) if n is not None]
                which = f" (bin {i} of {number}: take fewer, or another range)"
                raise SpaceError(
                    f"no path of space {self.space.name!r} has from {start:,} to {end:,} "
                    f"multiply-adds at {cost.input_size[0]}x{cost.input_size[1]}"
                    f"{which if number > 1 else ''}; its paths have from {cost.min_flops:,} to "
                    f"{cost.max_flops:,}, and nearest to the range are "
                    f"{' and '.join(f'{n:,}' for n in nearest)}"
                )
            self._bins.append(paths)
        self.counts = tuple(paths.count for paths in self._bins)

    def _draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        paths = self._bins[_below(len(self._bins), rng)]
        return paths.path(_below(paths.count, rng))


def _below(bound: int, rng: np.random.Generator) -> int:
    """A uniform integer of [0, bound); the bound may pass 64 bits, which numpy's own can't."""
    if bound == 1:  # numpy's bytes(0) would move the generator
        return 0
    bits = (bound - 1).bit_length()
    while True:  # at least half of all draws are below the bound
        value = int.from_bytes(rng.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1)
        if value < bound:
            return value


def _non_negative(value: int, what: str) -> int:
    number = as_int(value)
    if number is None or number < 0:
        raise SpaceError(f"the {what} is {value!r}; expected an integer of at least 0")
    return number
