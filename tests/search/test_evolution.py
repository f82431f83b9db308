"""Algorithm 2 and the random baseline, on fitness functions whose answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from detnas_d2.errors import ConfigError
from detnas_d2.search import (
    CostLimit,
    CostLimits,
    EvolutionarySearch,
    LimitError,
    RandomSearch,
    SearchError,
)
from detnas_d2.space import Architecture

OFFICIAL = {"parents_from": "all", "mutations": 20, "crossovers": 20}  # the authors' code
SMALL = {
    EvolutionarySearch: {"population": 8, "generations": 3, "parents": 4},
    RandomSearch: {"count": 24},
}
both = pytest.mark.parametrize("search", SMALL)


@pytest.fixture
def middle(demo, cost):
    """A limit that about half of the demo space meets."""
    drawn = np.random.default_rng(0).integers(4, size=(1001, demo.num_blocks))
    return CostLimits(
        demo, [CostLimit(cost(demo).flops, float(np.median(cost(demo).flops(drawn))))]
    )


def distance(a, b):
    return sum(x != y for x, y in zip(a, b, strict=True))


def is_mix(child, parents):
    """Whether a child consists of two of the parents."""
    return any(
        all(c in pair for c, *pair in zip(child, a, b, strict=True))
        for a, b in itertools.combinations(parents, 2)
    )


def test_paper_settings_evaluate_a_thousand_under_the_limit(demo, instant, separable, cost, middle):
    evaluate, batches = instant(separable(demo).value)
    result = EvolutionarySearch(demo, middle).run(evaluate)
    assert [(b.generation, len(b.architectures)) for b in batches] == [(g, 50) for g in range(20)]
    drawn = [a for b in batches for a in b.architectures]
    assert len(set(drawn)) == 1000
    assert all(middle.meets(a) for a in drawn)
    assert [e.architecture for e in result.evaluations] == drawn
    assert result.stopped_because is None
    assert result.best.fitness == max(e.fitness for e in result.evaluations)


def test_evolution_finds_the_optimum_and_random_search_does_not(demo, instant, separable):
    fitness = separable(demo)
    evolved = EvolutionarySearch(demo).run(instant(fitness.value)[0])
    drawn = RandomSearch(demo, count=1000).run(instant(fitness.value)[0])
    assert evolved.best.architecture.choices == fitness.optimum
    assert drawn.best.fitness < evolved.best.fitness


@both
def test_same_seed_same_search_and_other_seed_another(demo, instant, separable, middle, search):
    def run(seed):
        evaluate, batches = instant(separable(demo).value)
        search(demo, middle, seed=seed, **SMALL[search]).run(evaluate)
        return [b.architectures for b in batches]

    assert run(3) == run(3) != run(4)


# --- the algorithm's lines -------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, mutated, crossed", [({}, 25, 25), (OFFICIAL, 20, 20), ({"crossovers": 0}, 25, 0)]
)
def test_a_population_is_mutations_crossovers_and_random_ones(
    demo, instant, settings, mutated, crossed
):
    """Each candidate is worse than the one before: the parents are the first ones."""
    order = itertools.count()
    evaluate, batches = instant(lambda a: -float(next(order)))
    search = EvolutionarySearch(demo, generations=3, **settings)
    result = search.run(evaluate)
    assert [len(b.architectures) for b in batches] == [50] * 3 and search.candidates == 150
    assert len({e.architecture for e in result.evaluations}) == 150
    for before, batch in itertools.pairwise(batches):
        parents = (batches[0] if settings == OFFICIAL else before).architectures[:10]
        children = batch.architectures
        nearest = [min(distance(child, p) for p in parents) for child in children]
        # of 10 blocks 0.1 are drawn anew and 3/4 of these differ: 1.4 in children that differ
        assert 1.3 < np.mean(nearest[:mutated]) < 1.7
        crossovers = children[mutated:][:crossed]
        assert all(is_mix(child, parents) for child in crossovers)
        # some take at least three blocks from outside of the nearest parent
        assert max(nearest[mutated:][:crossed], default=3) >= 3
        # each of 10 blocks of a random one differs from a given parent's with probability 3/4
        rest = nearest[mutated + crossed :]
        assert len(rest) == 50 - mutated - crossed and np.mean(rest or [5]) > 4


# --- failures --------------------------------------------------------------------------------


def test_failed_candidates_are_recorded_and_passed_over(demo, instant, separable):
    fitness = separable(demo)

    def one_choice_fails(a):
        return None if a[0] == fitness.optimum[0] else fitness.value(a)

    evaluate, batches = instant(one_choice_fails)
    result = EvolutionarySearch(demo, population=20, generations=8, parents=5).run(evaluate)
    assert any(not e.ok for e in result.evaluations) and len(result.evaluations) == 160
    assert result.best.ok
    # crossovers of parents that did not fail never have the choice that fails (later, when the
    # parents are alike and their crossovers used up, random networks fill the place)
    crossed = [a for b in batches[1:5] for a in b.architectures[10:]]
    assert len(crossed) == 40 and all(a[0] != fitness.optimum[0] for a in crossed)

    # a population that failed as a whole is followed by a random one
    count = itertools.count()
    evaluate, batches = instant(lambda a: None if 8 <= next(count) < 16 else float(a[0]))
    result = EvolutionarySearch(demo, **SMALL[EvolutionarySearch]).run(evaluate)
    assert [len(b.architectures) for b in batches] == [8, 8, 8] and result.best.ok


@both
def test_all_fail_names_the_last_error(demo, instant, search):
    evaluate, batches = instant(lambda a: None)
    # the evolution ends after its first population: the fault is not the candidates'
    tried = 24 if search is RandomSearch else 8
    with pytest.raises(SearchError, match=f"all {tried} candidates failed") as caught:
        search(demo, **SMALL[search]).run(evaluate)
    assert f"ValueError: bad {batches[-1].architectures[-1]}" in str(caught.value)


# --- limits and exhaustion -------------------------------------------------------------------


@pytest.mark.parametrize("allowed", [10, 27])
def test_exhausted_small_space_ends_early_at_its_optimum(tiny, instant, separable, cost, allowed):
    table, fitness = cost(tiny), separable(tiny)
    every = [Architecture(tiny, c) for c in itertools.product(range(3), repeat=3)]
    limit = CostLimits(
        tiny, [CostLimit(table.flops, sorted(table.flops(a) for a in every)[allowed - 1])]
    )
    evaluate, batches = instant(fitness.value)
    result = EvolutionarySearch(tiny, limit, population=8, parents=4).run(evaluate)
    evaluated = [e.architecture for e in result.evaluations]
    assert len(evaluated) == len(set(evaluated)) == allowed
    assert set(evaluated) == {a for a in every if table.flops(a) <= limit.limits[0].maximum}
    assert all(len(b.architectures) == 8 for b in batches[:-1])
    assert result.best.fitness == max(map(fitness.value, evaluated))
    assert f"'tiny' has no more than {allowed} architectures" in result.stopped_because


@both
def test_limit_that_none_and_that_one_of_a_million_meets(demo, instant, cost, search):
    minimum = cost(demo).flops.minimum
    with pytest.raises(LimitError, match=f"{minimum:,}"):
        search(demo, CostLimits(demo, [CostLimit(cost(demo).flops, minimum - 1)]))
    limit = CostLimits(demo, [CostLimit(cost(demo).flops, minimum)])
    result = search(demo, limit).run(instant(lambda a: 1.0)[0])
    assert [e.architecture for e in result.evaluations] == [cost(demo).flops.cheapest()]
    assert "262,144 random draws from space 'demo', after 1" in result.stopped_because


@pytest.mark.parametrize(
    ("search", "name", "settings"),
    [
        (EvolutionarySearch, "population", {"population": 1}),
        (EvolutionarySearch, "parents", {"parents": 51}),
        (EvolutionarySearch, "parents_from", {"parents_from": "everywhere"}),
        (EvolutionarySearch, "mutation_probability", {"mutation_probability": float("nan")}),
        (EvolutionarySearch, "mutations", {"mutations": -1}),
        (EvolutionarySearch, "crossovers", {"mutations": 20, "crossovers": 31}),
        (EvolutionarySearch, "crossovers", {"crossovers": 26}),
        (EvolutionarySearch, "mutations", {"population": 12, **OFFICIAL}),
        (EvolutionarySearch, "generations", {"generations": 0}),
        (EvolutionarySearch, "seed", {"seed": -1}),
        (RandomSearch, "count", {"count": 0}),
    ],
)
def test_settings_that_can_not_work_are_refused(demo, search, name, settings):
    with pytest.raises(ConfigError, match=rf"{name} is '?{settings[name]}'?; expected"):
        search(demo, **settings)
