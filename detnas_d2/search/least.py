"""The exact least cost in a space under limits on other costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..space import Architecture, BlockCost
from ..space.block_cost import QUANTUM

Limited: TypeAlias = tuple[BlockCost[Any], float]  # a cost and the most that it may be


def least(cost: BlockCost[Any], limits: Sequence[Limited]) -> Architecture | None:
    """An architecture with the least `cost` of all that meet the limits; None if none meets them.

    Maxima over the blocks forbid choices. Where sums bind, it is an integer programme, which HiGHS
    solves to optimality and whose solution is checked in integers.
    """
    if cost.combine == "max":
        return _least_maximum(cost, limits)
    allowed = cost.space.allowed.copy()
    sums: list[Limited] = []
    for limited, maximum in limits:
        if limited.combine == "sum":
            sums.append((limited, maximum))
        elif limited.constant > maximum:
            return None
        else:
            allowed &= limited.table <= maximum
    if not allowed.any(axis=1).all():
        return None
    cheapest = np.where(allowed, cost.table, np.inf).argmin(axis=1)
    if not _meets(cheapest, sums):
        return _solve(cost, sums, allowed)
    return Architecture(cost.space, tuple(cheapest.tolist()))


def _least_maximum(cost: BlockCost[Any], limits: Sequence[Limited]) -> Architecture | None:
    """A maximum is one of the table's values: bisect them for the least that leaves a solution."""
    blocks, options = cost.table.shape
    nothing: BlockCost[int] = BlockCost(cost.space, "", [[0] * options] * blocks, 0)
    found = least(nothing, limits)
    values = np.unique(np.maximum(cost.table[cost.space.allowed], cost.constant)).tolist()
    low, high = 0, len(values) - 1
    while found is not None and low < high:
        middle = (low + high) // 2
        better = least(nothing, [*limits, (cost, values[middle])])
        if better is None:
            low = middle + 1
        else:
            found, high = better, middle
    return found


def _solve(
    cost: BlockCost[Any], sums: Sequence[Limited], allowed: NDArray[np.bool_]
) -> Architecture | None:
    """Blocks of equal costs are a group. Variables: how many of a group take each choice."""
    from scipy.optimize import Bounds, LinearConstraint, milp  # slow to import, seldom needed

    tables = [np.rint(c.table / _unit(c)).astype(np.int64) for c in (cost, *(c for c, _ in sums))]
    _, first, groups = np.unique(
        np.hstack([*tables, allowed]), axis=0, return_index=True, return_inverse=True
    )
    groups, allowed = groups.ravel(), allowed[first]
    sizes = np.bincount(groups)
    objective, *reduced = (_reduced(table[first], allowed) for table in tables)
    ends = []
    for (limited, maximum), (_, smallest, scale) in zip(sums, reduced, strict=True):
        most = min(maximum, limited.maximum) - limited.constant
        spare = math.floor(most / _unit(limited)) - int(sizes @ smallest)
        ends.append(spare // scale + 0.5)  # all else in a row is an integer: room for rounding
    of_group = np.kron(np.eye(len(sizes)), np.ones(allowed.shape[1]))
    solution = milp(
        objective[0],
        integrality=np.ones(allowed.size),
        bounds=Bounds(0, (sizes[:, None] * allowed).ravel()),
        constraints=[
            LinearConstraint(of_group, sizes, sizes),
            LinearConstraint(np.array([row for row, _, _ in reduced]), -np.inf, ends),
        ],
        options={"mip_rel_gap": 0},
    )
    if solution.status == 2:  # infeasible
        return None
    if solution.status != 0:
        raise RuntimeError(f"HiGHS did not solve it: {solution.message}")
    counts = np.rint(solution.x).astype(np.int64).reshape(allowed.shape)
    choices = np.zeros(len(groups), dtype=np.int64)
    for i, row in enumerate(counts):
        choices[groups == i] = np.repeat(np.arange(len(row)), row)
    if not _meets(choices, sums):
        raise RuntimeError(f"HiGHS's solution {choices.tolist()} breaks a limit by rounding")
    return Architecture(cost.space, tuple(choices.tolist()))


def _reduced(
    table: NDArray[np.int64], allowed: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """(G, C) -> its entries above the least of their rows as small integers, flat; the least of
    each row; and what the integers were divided by."""
    smallest = np.where(allowed, table, np.iinfo(np.int64).max).min(axis=1)
    above = np.where(allowed, table - smallest[:, None], 0)
    scale = max(int(np.gcd.reduce(above, axis=None)), 1)
    return (above // scale).ravel(), smallest, scale


def _unit(cost: BlockCost[Any]) -> float:
    return QUANTUM if cost.table.dtype.kind == "f" else 1


def _meets(choices: NDArray[np.int64], limits: Sequence[Limited]) -> bool:
    return all(cost(choices[None])[0] <= maximum for cost, maximum in limits)
