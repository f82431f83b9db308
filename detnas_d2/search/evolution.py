"""Algorithm 2 of the DetNAS paper: evolutionary search on a trained supernet.

    input: trained supernet S and detector D; population size |P|; k parents; images V_Det to
           evaluate on and T_DetS to collect statistics on; I_E generations; limit eta
        1  P_0 <- |P| random architectures under eta
        2  j <- 0
        3  best <- none, of fitness 0
     4-17  while j < I_E
     5-11      for each p in P_j
        6          collect batch-norm statistics of D(S(p)) on T_DetS
        7          fitness of p <- D(S(p)) evaluated on V_Det
     8-10          best <- p, where its fitness is higher
       12      parents <- the k best of P_j
       13      j <- j + 1
       14      mutated <- |P|/2 mutations of parents under eta
       15      crossed <- |P|/2 crossovers of parents under eta
       16      P_j <- mutated + crossed
    output: best

The comments of EvolutionarySearch refer to these lines. What the paper leaves open:

* No architecture is drawn twice in a search, so none is evaluated twice (as the authors' code).
* A child that breaks the limit or was seen is drawn again, ATTEMPTS times at most; random
  architectures fill what is then missing (as the authors' code).
* Failed candidates are neither parents nor best. Where all of the first population failed, the
  search ends with an error; a population without any parent is followed by a random one.
* Without any unseen architecture under the limit the search ends early and says so.

The authors' code (distributed_arch_search/search.py) differs in lines 12 to 16: the parents are
the k best of all so far, and of a population of 50, 20 are mutations, 20 crossovers and 10 random.
That is parents_from="all", mutations=20, crossovers=20.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Any, Literal

import numpy as np

from ..rules import Rule, require, whole
from ..space import Architecture, SearchSpace
from .algorithm import SearchAlgorithm
from .evaluator import Evaluate
from .limits import CostLimits
from .operators import crossover, mutate
from .record import Evaluation, best_of, rank
from .results import SearchResult, make_result
from .sampling import ATTEMPTS, draw_unseen, why_none_left

PROBABILITY = Rule("a number from 0 to 1", lambda v: type(v) in (int, float) and 0 <= v <= 1)
_ORIGIN = Rule("population or all", lambda v: v in ("population", "all"))


class EvolutionarySearch(SearchAlgorithm):
    """Algorithm 2: see the module's docstring. Defaults are the paper's.

    Every random draw is a function of the seed, the generation and the fitness of the generations
    before. So a search run again with a ledger that answers what it evaluated is the same search.

    Args:
        population: candidates of a generation.
        generations: populations to evaluate, the random one included.
        parents: the best that the next population descends from, ...
        parents_from: ... of the present "population" or of "all" evaluated so far.
        mutation_probability: of each block.
        mutations, crossovers: how many of a population come by each; the rest is random. None:
            half of the population, and all the rest of it.

    Other arguments, attributes and errors are those of SearchAlgorithm.
    """

    def __init__(
        self,
        space: SearchSpace,
        limit: CostLimits | None = None,
        *,
        population: int = 50,
        generations: int = 20,
        parents: int = 10,
        parents_from: Literal["population", "all"] = "population",
        mutation_probability: float = 0.1,
        mutations: int | None = None,
        crossovers: int | None = None,
        **common: Any,
    ) -> None:
        mutations = population // 2 if mutations is None else mutations
        crossovers = population - mutations if crossovers is None else crossovers
        most = population - mutations
        require(
            "search.algorithm",
            population=(population, whole(2)),
            generations=(generations, whole(1)),
            parents=(parents, whole(1, most=population)),
            parents_from=(parents_from, _ORIGIN),
            mutation_probability=(mutation_probability, PROBABILITY),
            mutations=(mutations, whole(0, most=population)),
            crossovers=(crossovers, whole(0, most=most)),
        )
        super().__init__(space, limit, population, **common)
        self.population = population
        self.generations = generations
        self.parents = parents
        self.parents_from = parents_from
        self.mutation_probability = mutation_probability
        self.mutations = mutations
        self.crossovers = crossovers
        self.candidates = population * generations

    def run(self, evaluate: Evaluate) -> SearchResult:
        """Raises SearchError if every candidate failed."""
        self.initial.log()
        evaluations: list[Evaluation] = []
        best: Evaluation | None = None
        top: list[Architecture] = []
        stopped_because = None
        for generation in range(self.generations):  # lines 2, 4 and 13
            # line 1; then 14 to 16
            population = self._next_population(top, evaluations, generation)
            if not population:
                stopped_because = why_none_left(self.space, len(evaluations))
                break
            evaluated = evaluate(population, generation)  # lines 5 to 7
            evaluations += evaluated
            best = best_of(evaluations)  # lines 3 and 8 to 10
            selectable = evaluations if self.parents_from == "all" else evaluated
            top = select_parents(selectable, self.parents)  # line 12
            if best is None:  # not even one of the first: the fault is not the candidates'
                break
        return make_result(evaluations, stopped_because)  # the output

    def _next_population(
        self, top: Sequence[Architecture], evaluations: Sequence[Evaluation], generation: int
    ) -> list[Architecture]:
        rng = self.rng(generation)
        seen = {e.architecture for e in evaluations}
        population = list(self.initial.architectures if generation == 0 else ())
        if top:
            population = self._children(top, seen, rng)
        # line 1, where there are no parents; else what line 16 lacks of |P|
        missing = self.population - len(population)
        rest = draw_unseen(self.space, missing, seen | {*population}, self.limit, rng)
        return [*population, *rest]

    def _children(
        self,
        top: Sequence[Architecture],
        seen: Set[Architecture],
        rng: np.random.Generator,
    ) -> list[Architecture]:
        """Different unseen children under the limit: the mutations and crossovers of a population,
        or fewer where ATTEMPTS draws for each find no more."""
        found: dict[Architecture, None] = {}

        def breed(count: int, draw: Callable[[], Architecture]) -> None:
            wanted = len(found) + count
            for _ in range(count * ATTEMPTS):
                if len(found) == wanted:
                    break
                child = draw()
                if child not in seen and self.limit.meets(child):
                    found[child] = None

        probability = self.mutation_probability
        breed(self.mutations, lambda: mutate(_pick(top, rng), probability, rng))  # line 14
        breed(self.crossovers, lambda: crossover(*_pick_pair(top, rng), rng))  # line 15
        return list(found)


def select_parents(evaluated: Sequence[Evaluation], count: int) -> list[Architecture]:
    """The best `count` of those that did not fail; fewer if there are fewer."""
    return [e.architecture for e in rank(evaluated)[:count]]


def _pick(parents: Sequence[Architecture], rng: np.random.Generator) -> Architecture:
    return parents[int(rng.integers(len(parents)))]


def _pick_pair(
    parents: Sequence[Architecture], rng: np.random.Generator
) -> tuple[Architecture, Architecture]:
    """Two different parents, where there are two."""
    first = int(rng.integers(len(parents)))
    if len(parents) == 1:
        return parents[first], parents[first]
    offset = int(rng.integers(1, len(parents)))
    return parents[first], parents[(first + offset) % len(parents)]
