"""
Samplers of training paths: each is a pure function of (seed, iteration).

The bits are those of numpy's PCG64 keyed by SeedSequence([seed, iteration, attempt]), a specified
algorithm: every rank and every machine draws the same path, and a resumed run goes on with the
paths that it would have had. No state is kept.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import count, pairwise
from numbers import Real

import numpy as np

from .architecture import Architecture
from .choices import checked_integer
from .cost import CostTable
from .errors import SpaceError
from .space import SearchSpace
from .spaces import resolve_space

_BATCH = 256  # paths drawn in one attempt
_ATTEMPTS = 1000  # of which one has to find a path, or a range counts as empty


class PathSampler(ABC):
    """
    Maps a pass (forward and backward, counted from 0) to the path that runs in it.

    Attributes:
        passes: of one iteration, whose gradients make one update of the weights. With one, which
            is Algorithm 1's number, a pass is an iteration.

    Raises:
        SpaceError: for a seed, or later a pass, that isn't an integer of at least 0.
    """

    passes = 1

    def __init__(self, space: SearchSpace | str, seed: int) -> None:
        self.space = resolve_space(space)
        self.seed = checked_integer(seed, "the seed", least=0)

    def __call__(self, number: int) -> Architecture:
        number = checked_integer(number, "the pass", least=0)
        return Architecture(self.space, self._draw(number))

    @abstractmethod
    def _draw(self, number: int) -> tuple[int, ...]:
        """The choices of one path."""

    def _random(self, iteration: int, attempt: int = 0) -> np.random.Generator:
        key = np.random.SeedSequence([self.seed, iteration, attempt])
        return np.random.Generator(np.random.PCG64(key))


class UniformPathSampler(PathSampler):
    """Every architecture of the space with the same probability (Algorithm 1, lines 4 and 9).

    Args:
        seed: with the iteration, it gives the path.
    """

    def _draw(self, iteration: int) -> tuple[int, ...]:
        return tuple(self.space.draw(self._random(iteration), 1)[0].tolist())


class StrictlyFairPathSampler(PathSampler):
    """
    As many paths an iteration as there are choices, in which every choice of every block runs
    once: each block's choices in an order of its own (strict fairness: FairNAS, arXiv 1907.01845,
    Algorithm 1). A block that fewer choices fit runs each of them equally often, or once more.
    """

    def __init__(self, space: SearchSpace | str, seed: int) -> None:
        super().__init__(space, seed)
        self.passes = max(map(len, self.space.options))

    def _draw(self, number: int) -> tuple[int, ...]:
        iteration, place = divmod(number, self.passes)
        random = self._random(iteration)
        return tuple(
            int(np.resize(random.permutation(fitting), self.passes)[place])
            for fitting in self.space.options
        )


class FlopsRangePathSampler(PathSampler):
    """
    A bin of a range of multiply-adds, uniformly, and a path in it, uniformly: the authors'
    ImageNet supernet is trained so (their Supernet-ImageNet/train.py, with seven bins).

    The range is cut into bins of equal width. Both ends of a bin belong to it, as in the authors'
    code: a path on the edge of two bins is in both. Paths are drawn from the whole space until one
    fits. (The authors take any after 500 misses.)

    Args:
        seed: with the iteration, it gives the path.
        low, high: multiply-adds, as CostTable counts them at input_size (height, width); both
            are in the range.
        bins: how many; one makes every path of the range equally likely.

    Raises:
        SpaceError: for wrong numbers; if a bin lies below or above all paths, or none of 256,000
            paths is in it.
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
        number = checked_integer(bins, "bins")
        self._cost = CostTable(self.space, input_size)
        edges = [low, *(low + (high - low) / number * i for i in range(1, number)), high]
        self._bins = list(pairwise(edges))
        for i, (start, end) in enumerate(self._bins, 1):
            flops = self._cost.flops
            overlaps = start <= flops.maximum and end >= flops.minimum
            if overlaps and any(self._attempt(0, n, start, end) for n in range(_ATTEMPTS)):
                continue
            none = f"none of {_BATCH * _ATTEMPTS:,} random paths" if overlaps else "no path"
            height, width = self._cost.input_size
            which = f" (bin {i} of {number}: take fewer, or another range)" if number > 1 else ""
            raise SpaceError(
                f"{none} of space {self.space.name!r} has from {start:,} to {end:,} multiply-adds "
                f"at {height}x{width}{which}; its paths have from {flops.minimum:,} to "
                f"{flops.maximum:,}"
            )

    def _draw(self, iteration: int) -> tuple[int, ...]:
        low, high = self._bins[self._random(iteration).integers(len(self._bins))]
        found = (self._attempt(iteration, attempt, low, high) for attempt in count(1))
        return next(path for path in found if path is not None)  # there is one: it was drawn before

    def _attempt(
        self, iteration: int, attempt: int, low: float, high: float
    ) -> tuple[int, ...] | None:
        """The first path of an attempt with low <= multiply-adds <= high."""
        paths = self.space.draw(self._random(iteration, attempt), _BATCH)
        flops = np.asarray(self._cost.flops(paths))
        fitting = paths[(flops >= low) & (flops <= high)]
        return tuple(fitting[0].tolist()) if len(fitting) else None
