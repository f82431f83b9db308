"""NSGA-II of pymoo over architectures: pymoo's selection and survival, this package's operators.

Importing this module imports pymoo. It is handed a random generator for every draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2, binary_tournament
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.problems.static import StaticProblem

from ..space import Architecture, SearchSpace
from .operators import crossover, mutate


class Survivors:
    """The population of NSGA-II (Deb et al., 2002).

    Args:
        size: how many survive, and how many children they have.
        goals: number of values of each; less is better in all.
        mutation_probability: of each block of a child, after the crossover of its parents.
        attempts: draws for a child.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        size: int,
        goals: int,
        mutation_probability: float,
        attempts: int,
    ):
        self._problem = Problem(n_var=space.num_blocks, n_obj=goals)
        self._mating = _Mating(space, mutation_probability, attempts)
        self._nsga2 = NSGA2(pop_size=size, mating=self._mating, output=None)
        self._nsga2.setup(self._problem, termination=NoTermination())

    def add(
        self,
        architectures: Sequence[Architecture],
        values: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> None:
        """Add evaluated architectures with their (N, goals) values; the fittest survive."""
        added = Population.new(X=np.array([a.choices for a in architectures]))
        Evaluator().eval(StaticProblem(self._problem, F=values), added)
        self._nsga2.random_state = rng
        self._nsga2.tell(infills=added)

    def children(
        self, accepts: Callable[[Architecture], bool], rng: np.random.Generator
    ) -> list[Architecture]:
        """Different children that are accepted: `size` of them, or fewer where none is found."""
        self._nsga2.random_state = rng
        self._mating.accepts = accepts
        self._nsga2.ask()
        return self._mating.children


class _Mating:
    """What NSGA2 calls for its children."""

    accepts: Callable[[Architecture], bool]
    children: list[Architecture]

    def __init__(self, space: SearchSpace, mutation_probability: float, attempts: int):
        self._space = space
        self._probability = mutation_probability
        self._attempts = attempts
        self._selection = TournamentSelection(func_comp=binary_tournament)

    def do(
        self,
        problem: Any,
        population: Any,
        count: int,
        *,
        algorithm: Any,
        random_state: np.random.Generator,
    ) -> Any:
        children: dict[Architecture, None] = {}
        for _ in range(self._attempts):
            missing = count - len(children)
            if not missing:
                break
            pairs = self._selection(
                problem, population, missing, 2, algorithm=algorithm, random_state=random_state
            )
            for pair in pairs:
                first, second = (Architecture(self._space, tuple(p.X.tolist())) for p in pair)
                mixed = crossover(first, second, random_state)
                child = mutate(mixed, self._probability, random_state)
                if self.accepts(child):
                    children[child] = None
        self.children = list(children)
        return Population.new(X=np.array([c.choices for c in children])) if children else []
