"""The figures behind the charts, as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..search import Evaluation, rank

LEAST_TOP = 10
TOP_SHARE = 0.1


def best_so_far(fitness: Sequence[float | None]) -> list[float | None]:
    """The highest of each beginning of the sequence; None before the first that is no None."""
    best: list[float | None] = []
    highest: float | None = None
    for value in fitness:
        if value is not None and (highest is None or value > highest):
            highest = value
        best.append(highest)
    return best


def pareto_front(costs: Sequence[float], fitness: Sequence[float]) -> list[int]:
    """Places of the points that no other dominates (nowhere worse, somewhere better), cheapest
    first; more fitness and less cost are better, and of equal points all are in it."""
    front: list[int] = []
    best = -math.inf
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], -fitness[i])):
        equal = bool(front) and (costs[i], fitness[i]) == (costs[front[-1]], fitness[front[-1]])
        if fitness[i] > best or equal:
            front.append(i)
            best = fitness[i]
    return front


def top_of(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The best tenth, but at least LEAST_TOP where there are so many; best first."""
    ranked = rank(evaluations)
    return ranked[: max(LEAST_TOP, math.ceil(TOP_SHARE * len(ranked)))]


def choice_shares(evaluations: Sequence[Evaluation]) -> NDArray[np.float64]:
    """(L, C): the share of the architectures that have choice c in block l."""
    space = evaluations[0].architecture.space
    choices = np.array([e.architecture.choices for e in evaluations])
    return (choices[:, :, None] == np.arange(space.num_choices)).mean(axis=0)


def shares_by_generation(evaluations: Sequence[Evaluation]) -> dict[int, NDArray[np.float64]]:
    """Generation -> (C,) shares of the choices over all blocks of its architectures."""
    return {
        g: choice_shares([e for e in evaluations if e.generation == g]).mean(axis=0)
        for g in sorted({e.generation for e in evaluations})
    }


def median_by_generation(
    evaluations: Sequence[Evaluation],
) -> list[tuple[int, int, int, float | None]]:
    """For each run of evaluations of one generation: (generation, first and last place of the run
    from 1 on, median fitness or None where all failed)."""
    runs: list[tuple[int, int, int, float | None]] = []
    start = 0
    for i in range(1, len(evaluations) + 1):
        last = i == len(evaluations)
        if last or evaluations[i].generation != evaluations[start].generation:
            values = [e.fitness for e in evaluations[start:i] if e.fitness is not None]
            median = float(np.median(values)) if values else None
            runs.append((evaluations[start].generation, start + 1, i, median))
            start = i
    return runs
