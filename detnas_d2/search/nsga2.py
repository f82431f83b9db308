"""NSGA-II (Deb et al., 2002) over architectures: pymoo's selection and survival, our operators.

Importing this module imports pymoo. Every draw is of the generator that is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import binary_tournament
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from ..space import Architecture
from .operators import crossover, mutate
from .sampling import ATTEMPTS


def survive(
    population: Any,
    architectures: Sequence[Architecture],
    values: NDArray[np.float64],
    size: int,
    rng: np.random.Generator,
) -> Any:
    """The fittest `size` of a population (None for none) and of evaluated architectures.

    Args:
        values: (N, goals) of the N architectures; less is better in all.
    """
    added = Population.new(X=list(architectures), F=values)
    whole = added if population is None else Population.merge(population, added)
    problem = Problem(n_obj=values.shape[1])
    return RankAndCrowding().do(problem, whole, n_survive=size, random_state=rng)


def children(
    population: Any,
    count: int,
    mutation_probability: float,
    accepts: Callable[[Architecture], bool],
    rng: np.random.Generator,
) -> list[Architecture]:
    """Different children that are accepted: `count` of them, or fewer after ATTEMPTS draws."""
    select = TournamentSelection(func_comp=binary_tournament)
    algorithm = SimpleNamespace(tournament_type="comp_by_dom_and_crowding", random_state=rng)
    found: dict[Architecture, None] = {}
    for _ in range(ATTEMPTS):
        missing = count - len(found)
        if not missing:
            break
        pairs = select(None, population, missing, 2, algorithm=algorithm, random_state=rng)
        for first, second in pairs:
            child = mutate(crossover(first.X, second.X, rng), mutation_probability, rng)
            if accepts(child):
                found[child] = None
    return list(found)
