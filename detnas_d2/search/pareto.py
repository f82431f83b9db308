"""Search for the best trade-offs between the fitness and one or more costs, by NSGA-II."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..rules import Rule, require, whole
from ..space import Architecture, SearchSpace
from .algorithm import SearchAlgorithm
from .errors import SearchError
from .evaluator import Evaluate
from .evolution import PROBABILITY
from .limits import CostLimits
from .operators import crossover, mutate
from .predictor import Predictor, predictor_version
from .record import Evaluation
from .results import ParetoResult, TradeOff, make_result, non_dominated
from .sampling import ATTEMPTS, draw_unseen, why_none_left

# (N, L) choices of N architectures with L blocks -> (N,) costs, less being better
CostFunction: TypeAlias = Callable[[NDArray[np.int64]], Any]


class ParetoSearch(SearchAlgorithm):
    """NSGA-II (Deb et al., 2002) on the fitness and the costs, as pymoo has it.

    A child is the crossover of two parents (binary tournaments by dominance, then crowding), and
    then mutated, by the operators of Algorithm 2. What the module of EvolutionarySearch says of
    duplicates, limits, failed candidates and ends holds here too, and so does: every random draw
    is a function of the seed, the generation and the fitness of the generations before.

    Args:
        costs: by name, what is weighed against the fitness.
        population: candidates of a generation, and how many survive it.
        factor: children drawn for each one that is evaluated. With more than one, so many
            generations are bred on a `Predictor` of all that was evaluated, and of their children
            those are evaluated that would survive by its fitness.

    Other arguments, attributes and errors are those of EvolutionarySearch and SearchAlgorithm;
    SearchError, too, where pymoo is missing.
    """

    def __init__(
        self,
        space: SearchSpace,
        limit: CostLimits | None = None,
        *,
        costs: Mapping[str, CostFunction],
        population: int = 50,
        generations: int = 20,
        mutation_probability: float = 0.1,
        factor: int = 1,
        **common: Any,
    ) -> None:
        require(
            "search.algorithm",
            costs=(dict(costs), Rule("at least one", bool)),
            population=(population, whole(2)),
            generations=(generations, whole(1)),
            mutation_probability=(mutation_probability, PROBABILITY),
            factor=(factor, whole(1)),
        )
        try:
            import pymoo.core  # noqa: F401
        except ImportError as error:
            raise SearchError(
                f"ParetoSearch needs pymoo ({error}): pip install 'detnas-d2[pareto]'"
            ) from error
        super().__init__(space, limit, population, **common)
        self.costs = dict(costs)
        self.population = population
        self.generations = generations
        self.mutation_probability = mutation_probability
        self.factor = factor
        self.candidates = population * generations
        self.depends_on = {**self.initial.depends_on, "pymoo": version("pymoo")}
        if factor > 1:
            self.depends_on = {**self.depends_on, **predictor_version()}

    def run(self, evaluate: Evaluate) -> ParetoResult:
        """Raises SearchError if every candidate failed."""
        self.initial.log()
        survivors = None
        evaluations: list[Evaluation] = []
        stopped_because = None
        for generation in range(self.generations):
            rng = self.rng(generation)
            seen = {e.architecture for e in evaluations}
            population = list(self.initial.architectures)
            if generation > 0:
                population = self._promising(survivors, seen, evaluations, rng)
            missing = self.population - len(population)
            population += draw_unseen(self.space, missing, seen | set(population), self.limit, rng)
            if not population:
                stopped_because = why_none_left(self.space, len(seen))
                break
            evaluated = evaluate(population, generation)
            evaluations += evaluated
            succeeded = [e for e in evaluated if e.ok]
            if succeeded:
                new = self._individuals(*_of(succeeded))
                both = new if survivors is None else type(new).merge(survivors, new)
                survivors = self._fittest(both, rng)
            elif generation == 0:  # the fault is not the candidates'
                break
        result = make_result(evaluations, stopped_because)
        succeeded = [e for e in evaluations if e.ok]
        goals = self._goals(*_of(succeeded))
        trade_offs = [
            TradeOff(e, {name: v[0].item() for name, v in self._costs([e.architecture]).items()})
            for e in (succeeded[i] for i in non_dominated(goals))
        ]
        trade_offs.sort(key=lambda t: (*t.costs.values(), t.evaluation.architecture.choices))
        return ParetoResult(**vars(result), front=tuple(trade_offs))

    def _promising(
        self,
        survivors: Any,
        seen: Set[Architecture],
        evaluations: Sequence[Evaluation],
        rng: np.random.Generator,
    ) -> list[Architecture]:
        """The next population, of children that are not evaluated yet."""
        children = self._children(survivors, seen, rng)
        if self.factor == 1 or not children:
            return children
        predict = Predictor(evaluations)
        for _ in range(self.factor - 1):
            bred = self._individuals(children, predict(children))
            parents = self._fittest(type(bred).merge(survivors, bred), rng)
            children += self._children(parents, seen | {*children}, rng)
        fittest = self._fittest(self._individuals(children, predict(children)), rng)
        return [individual.X for individual in fittest]

    def _individuals(
        self, architectures: Sequence[Architecture], fitness: NDArray[np.float64]
    ) -> Any:
        from pymoo.core.population import Population

        return Population.new(X=list(architectures), F=self._goals(architectures, fitness))

    def _fittest(self, population: Any, rng: np.random.Generator) -> Any:
        """As many of pymoo's population as survive a generation."""
        from pymoo.core.problem import Problem
        from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

        problem = Problem(n_obj=population.get("F").shape[1])
        return RankAndCrowding().do(
            problem, population, n_survive=self.population, random_state=rng
        )

    def _children(
        self, population: Any, seen: Set[Architecture], rng: np.random.Generator
    ) -> list[Architecture]:
        """Different unseen children under the limit, as many as a population has, or fewer after
        ATTEMPTS draws."""
        from pymoo.algorithms.moo.nsga2 import binary_tournament
        from pymoo.operators.selection.tournament import TournamentSelection

        select = TournamentSelection(func_comp=binary_tournament)
        algorithm = SimpleNamespace(tournament_type="comp_by_dom_and_crowding", random_state=rng)
        found: dict[Architecture, None] = {}
        for _ in range(ATTEMPTS):
            missing = self.population - len(found)
            if not missing:
                break
            pairs = select(None, population, missing, 2, algorithm=algorithm, random_state=rng)
            for first, second in pairs:
                child = mutate(crossover(first.X, second.X, rng), self.mutation_probability, rng)
                if child not in seen and self.limit.meets(child):
                    found[child] = None
        return list(found)

    def _goals(
        self, architectures: Sequence[Architecture], fitness: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(N, 1 + costs), less being better in each."""
        return np.column_stack([-fitness, *self._costs(architectures).values()])

    def _costs(self, architectures: Sequence[Architecture]) -> dict[str, NDArray[Any]]:
        choices = np.array([a.choices for a in architectures])
        return {name: np.asarray(cost(choices)) for name, cost in self.costs.items()}


def _of(succeeded: Sequence[Evaluation]) -> tuple[list[Architecture], NDArray[np.float64]]:
    fitness = np.array([e.fitness for e in succeeded], dtype=float)
    return [e.architecture for e in succeeded], fitness
