"""
Counting and numbering the paths whose cost lies in a range, exactly and without enumeration.

The blocks are cut into two halves (meet in the middle). For each half, a table for each of its
prefixes holds the distinct sums of costs and how many paths have each. Blocks of equal costs lie
side by side there, so that the sums of n of them number C(n + choices - 1, n), not choices ** n.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from itertools import accumulate
from operator import mul
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import SpaceError

# Most sums made at once, before equal ones are merged: about 0.6 GB at the peak.
MAX_SUMS = 2**24

_Row: TypeAlias = tuple[int | None, ...]  # the costs of a block's choices; None can't be taken


class PathCosts:
    """
    The costs of all paths through a table of costs.

    Args:
        costs: (L, C) int64, the cost of each choice in each block.
        allowed: (L, C), whether paths may have the choice; all of them by default.

    Raises:
        SpaceError: if there are too many distinct sums to hold.
    """

    def __init__(self, costs: NDArray[np.int64], allowed: NDArray[np.bool_] | None = None) -> None:
        rows: list[_Row] = [tuple(row) for row in costs.tolist()]
        if allowed is not None:
            fits = allowed.tolist()
            rows = [
                tuple(c if ok else None for c, ok in zip(*x, strict=True))
                for x in zip(rows, fits, strict=True)
            ]
        # Most sums first, each group to the half that has fewer so far: (bound, blocks).
        halves: list[tuple[int, list[int]]] = [(1, []), (1, [])]
        for group in sorted(Counter(rows).items(), key=_num_sums, reverse=True):
            halves.sort()
            size, blocks = halves[0]
            same = [i for i, row in enumerate(rows) if row == group[0]]
            halves[0] = (size * _num_sums(group), blocks + same)
        self.num_blocks = len(rows)
        self.first, self.second = (_Half(blocks, rows) for _, blocks in sorted(halves))
        self.min = sum(min(_costs(row)) for row in rows)
        self.max = sum(max(_costs(row)) for row in rows)

    def between(self, low: int, high: int) -> PathsBetween:
        """The paths with low <= cost <= high."""
        return PathsBetween(self, low, high)

    def neighbours(self, low: int, high: int) -> tuple[int | None, int | None]:
        """The greatest cost of a path below low, and the least above high; None if none is."""
        a, b = self.first.sums, self.second.sums
        below = above = None
        if low > self.min:
            i = np.searchsorted(b, min(low, self.max + 1) - a, side="left")
            below = int((a[i > 0] + b[i[i > 0] - 1]).max())
        if high < self.max:
            i = np.searchsorted(b, max(high, self.min - 1) - a, side="right")
            above = int((a[i < len(b)] + b[i[i < len(b)]]).min())
        return below, above


class PathsBetween:
    """The `count` paths with low <= cost <= high, numbered from 0."""

    def __init__(self, costs: PathCosts, low: int, high: int) -> None:
        self._costs = costs
        # Ends beyond the reachable costs could be beyond 64 bits.
        self._low, self._high = max(low, costs.min), min(high, costs.max)
        a = costs.first
        partners = np.zeros_like(a.counts)
        if self._low <= self._high:
            start, stop = self._partners(a.sums)
            partners = costs.second.ends[stop] - costs.second.ends[start]
        # Products can pass 64 bits: Python's integers don't.
        weights = map(mul, a.counts.tolist(), partners.tolist())
        self._ends = list(accumulate(weights))
        self.count: int = self._ends[-1]

    def path(self, index: int) -> tuple[int, ...]:
        """The choices of path `index`, 0 <= index < count: a bijection, in no useful order."""
        if not 0 <= index < self.count:
            raise IndexError(f"path {index} of {self.count}")
        first, second = self._costs.first, self._costs.second
        i = bisect_right(self._ends, index)
        index -= self._ends[i - 1] if i else 0
        start, stop = self._partners(first.sums[i])
        before = int(second.ends[start])
        index_first, index_second = divmod(index, int(second.ends[stop]) - before)
        j = int(np.searchsorted(second.ends, before + index_second, side="right")) - 1
        choices = [0] * self._costs.num_blocks
        first.fill(choices, i, index_first)
        second.fill(choices, j, before + index_second - int(second.ends[j]))
        return tuple(choices)

    def _partners(self, sums: Any) -> tuple[Any, Any]:
        """Where the second half's sums begin and end that complete `sums` of the first."""
        other = self._costs.second.sums
        return (
            np.searchsorted(other, self._low - sums, side="left"),
            np.searchsorted(other, self._high - sums, side="right"),
        )


class _Half:
    """
    The distinct sums over some of the blocks.

    Attributes:
        sums: (S,) int64, ascending.
        counts: (S,) paths of each sum; int64, or Python's integers where 64 bits don't do.
        ends: (S + 1,) 0 and the running totals of counts.
    """

    def __init__(self, blocks: list[int], rows: list[_Row]) -> None:
        self._blocks = blocks
        self._rows = [rows[block] for block in blocks]
        num_paths = math.prod(len(_costs(row)) for row in self._rows)
        dtype = np.int64 if num_paths <= np.iinfo(np.int64).max else object
        self._tables = [(np.zeros(1, np.int64), np.ones(1, dtype))]
        for row in self._rows:
            self._tables.append(_add(*self._tables[-1], _costs(row)))
        self.sums, self.counts = self._tables[-1]
        self.ends: NDArray[Any] = np.concatenate([np.zeros(1, dtype), np.cumsum(self.counts)])

    def fill(self, choices: list[int], position: int, index: int) -> None:
        """Set this half's choices to path `index` of those of sums[position]."""
        rest = int(self.sums[position])
        for k in range(len(self._rows) - 1, -1, -1):
            sums, counts = self._tables[k]
            for choice, cost in enumerate(self._rows[k]):
                if cost is None:
                    continue
                i = int(np.searchsorted(sums, rest - cost))
                here = int(counts[i]) if i < len(sums) and sums[i] == rest - cost else 0
                if index < here:
                    choices[self._blocks[k]] = choice
                    rest -= cost
                    break
                index -= here


def _add(
    sums: NDArray[np.int64], counts: NDArray[Any], row: list[int]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The table of one more block: every sum plus every cost of the row, equal ones merged."""
    if len(sums) * len(row) > MAX_SUMS:
        raise SpaceError(
            f"the paths of this space have too many different costs to count them exactly (over "
            f"{MAX_SUMS:,} in half of the blocks); sample without a range, or repeat equal blocks "
            "in the stages"
        )
    pairs = np.add.outer(np.array(row, np.int64), sums).ravel()
    order = np.argsort(pairs, kind="stable")
    pairs = pairs[order]
    starts = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]]))
    return pairs[starts], np.add.reduceat(np.tile(counts, len(row))[order], starts)


def _num_sums(group: tuple[_Row, int]) -> int:
    """Most distinct sums that n blocks of the same costs can have: multisets of n choices."""
    row, n = group
    return math.comb(n + len(set(_costs(row))) - 1, n)


def _costs(row: _Row) -> list[int]:
    return [cost for cost in row if cost is not None]
