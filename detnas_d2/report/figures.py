"""The figures behind the charts, as numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..search import Evaluation, rank

LEAST_TOP = 10
TOP_SHARE = 0.1


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


class Run(NamedTuple):
    """Evaluations of one generation in a row: from place `first` to `last`, which count from 1.

    median: of their fitness, NaN where all failed.
    """

    generation: int
    first: int
    last: int
    median: float


def runs_of(evaluations: Sequence[Evaluation]) -> list[Run]:
    """A ledger's generations, each once, or more often where they were evaluated in parts."""
    runs, place = [], 0
    for generation, group in itertools.groupby(evaluations, key=lambda e: e.generation):
        fitness = [e.fitness for e in group]
        found = [f for f in fitness if f is not None]
        median = float(np.median(found)) if found else math.nan
        runs.append(Run(generation, place + 1, place + len(fitness), median))
        place += len(fitness)
    return runs
