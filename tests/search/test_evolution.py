"""Algorithm 2 and the random baseline, on fitness functions whose answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from detnas_d2.search import (
    CostLimit,
    EvolutionarySearch,
    LimitError,
    RandomSearch,
    SearchError,
)
from detnas_d2.search.evolution import select_parents
from detnas_d2.space import Architecture


@pytest.fixture
def middle(cost):
    """A limit that about half of a space meets."""

    def make(space):
        rng = np.random.default_rng(0)
        drawn = rng.integers(space.num_choices, size=(1001, space.num_blocks))
        return CostLimit(cost(space).flops, float(np.median(cost(space).flops(drawn))))

    return make


def distance(a, b):
    return sum(x != y for x, y in zip(a, b, strict=True))


# --- the paper's size ------------------------------------------------------------------------


def test_paper_settings_evaluate_a_thousand_under_the_limit(demo, instant, separable, cost, middle):
    evaluate, batches = instant(separable(demo).value)
    limit = middle(demo)
    result = EvolutionarySearch(demo, limit).run(evaluate)
    assert [(b.generation, len(b.architectures)) for b in batches] == [(g, 50) for g in range(20)]
    drawn = [a for b in batches for a in b.architectures]
    assert len(set(drawn)) == 1000
    assert all(cost(demo).flops(a) <= limit.maximum for a in drawn)
    assert [e.architecture for e in result.evaluations] == drawn
    assert result.stopped_because is None
    assert result.best.fitness == max(e.fitness for e in result.evaluations)


def test_evolution_finds_the_optimum_and_random_search_does_not(demo, instant, separable):
    fitness = separable(demo)
    optimum = sum(fitness.table.max(axis=1))
    for seed in range(2):
        evolved = EvolutionarySearch(demo, seed=seed).run(instant(fitness.value)[0])
        drawn = RandomSearch(demo, count=1000, seed=seed).run(instant(fitness.value)[0])
        assert evolved.best.architecture.choices == fitness.optimum
        assert drawn.best.fitness < evolved.best.fitness == pytest.approx(optimum)


# --- the algorithm's lines -------------------------------------------------------------------


def test_children_descend_from_the_parents_half_by_half(demo, instant, separable):
    evaluate, batches = instant(separable(demo).value)
    result = EvolutionarySearch(
        demo, population=40, generations=2, parents=4, mutation_probability=0.1
    ).run(evaluate)
    parents = [p.choices for p in select_parents(result.evaluations[:40], 4)]
    children = [a.choices for a in batches[1].architectures]
    mutated, crossed = children[:20], children[20:]
    # a mutation with probability 0.1 over 10 blocks is near one parent
    assert np.mean([min(distance(c, p) for p in parents) for c in mutated]) < 2
    for child in crossed:  # a crossover consists of two of the parents
        assert any(
            all(c in pair for c, *pair in zip(child, a, b, strict=True))
            for a, b in itertools.combinations(parents, 2)
        )
    # and it is a mix: some child takes at least three blocks from outside of its nearest parent
    assert max(min(distance(c, p) for p in parents) for c in crossed) >= 3


def test_parents_are_of_the_present_population_only(demo, instant):
    """The first population is the best ever; its networks must not come back as parents."""
    evaluate, batches = instant(lambda a: 1.0)
    calls = []

    def declining(architectures, generation):
        calls.append(generation)
        out = evaluate(architectures, generation)
        return [type(e)(**{**e.__dict__, "fitness": 10.0 - generation}) for e in out]

    search = EvolutionarySearch(
        demo, population=20, generations=3, parents=5, mutation_probability=0.0
    )
    result = search.run(declining)
    assert result.best.generation == 0
    # without mutation every crossover of generation 2 consists of generation 1's parents
    parents = [p.choices for p in select_parents(result.evaluations[20:40], 5)]
    blocks = [set(column) for column in zip(*parents, strict=True)]
    children = batches[2].architectures
    descended = [c for c in children if all(x in s for x, s in zip(c, blocks, strict=True))]
    assert len(descended) >= 10 - 1


def test_same_seed_same_search_and_other_seed_another(demo, instant, separable, middle):
    def run(seed, search=EvolutionarySearch, **kwargs):
        evaluate, batches = instant(separable(demo).value)
        search(demo, middle(demo), seed=seed, **kwargs).run(evaluate)
        return [b.architectures for b in batches]

    small = {"population": 10, "generations": 4, "parents": 4}
    assert run(3, **small) == run(3, **small) != run(4, **small)
    assert run(3, RandomSearch, count=20) == run(3, RandomSearch, count=20)
    assert run(3, RandomSearch, count=20) != run(4, RandomSearch, count=20)


# --- failures --------------------------------------------------------------------------------


def test_failed_candidates_are_recorded_and_passed_over(demo, instant, separable):
    fitness = separable(demo)

    def one_choice_fails(a):
        return None if a[0] == fitness.optimum[0] else fitness.value(a)

    evaluate, batches = instant(one_choice_fails)
    result = EvolutionarySearch(demo, population=20, generations=8, parents=5).run(evaluate)
    failed = [e for e in result.evaluations if not e.ok]
    assert failed and len(result.evaluations) == 160
    assert result.best.ok
    parents = select_parents(result.evaluations, 160)
    assert len(parents) == 160 - len(failed)
    assert not {e.architecture for e in failed} & set(parents)
    # crossovers of parents that did not fail never have the choice that fails (later, when the
    # parents are alike and their crossovers used up, random networks fill the place)
    crossed = [a for b in batches[1:5] for a in b.architectures[10:]]
    assert len(crossed) == 40 and all(a[0] != fitness.optimum[0] for a in crossed)


def test_population_that_failed_as_a_whole_is_followed_by_a_random_one(demo, instant):
    count = itertools.count()
    evaluate, batches = instant(lambda a: None if 8 <= next(count) < 16 else float(a[0]))
    result = EvolutionarySearch(demo, population=8, generations=3, parents=4).run(evaluate)
    assert [len(b.architectures) for b in batches] == [8, 8, 8]
    assert result.best.fitness == max(e.fitness for e in result.evaluations if e.ok)


@pytest.mark.parametrize("search", [EvolutionarySearch, RandomSearch])
def test_all_fail_names_the_last_error(demo, instant, search):
    evaluate, batches = instant(lambda a: None)
    small = (
        {"count": 8}
        if search is RandomSearch
        else {"population": 4, "generations": 2, "parents": 2}
    )
    # the evolution ends after its first population: the fault is not the candidates'
    tried = 8 if search is RandomSearch else 4
    with pytest.raises(SearchError, match=f"all {tried} candidates failed") as caught:
        search(demo, **small).run(evaluate)
    assert f"ValueError: bad {batches[-1].architectures[-1]}" in str(caught.value)


# --- limits and exhaustion -------------------------------------------------------------------


@pytest.mark.parametrize("search", [EvolutionarySearch, RandomSearch])
def test_impossible_limit_is_refused_before_any_evaluation(demo, instant, cost, search):
    evaluate, batches = instant(lambda a: 1.0)
    minimum = cost(demo).min_flops
    with pytest.raises(LimitError, match=f"{minimum:,}"):
        search(demo, CostLimit(cost(demo).flops, minimum - 1)).run(evaluate)
    assert batches == []


def test_exhausted_small_space_ends_early_and_says_why(tiny, instant, separable):
    fitness = separable(tiny)
    evaluate, batches = instant(fitness.value)
    result = EvolutionarySearch(tiny, population=8, generations=20, parents=4).run(evaluate)
    everything = set(itertools.product(range(3), repeat=3))
    assert [e.architecture.choices for e in result.evaluations] != []
    assert sorted(e.architecture.choices for e in result.evaluations) == sorted(everything)
    assert [len(b.architectures) for b in batches] == [8, 8, 8, 3]
    assert "'tiny' has no more than 27 architectures" in result.stopped_because
    assert result.best.architecture.choices == fitness.optimum


def test_exhausted_under_a_limit_finds_the_constrained_optimum(tiny, instant, separable, cost):
    table, fitness = cost(tiny), separable(tiny)
    every = [Architecture(tiny, c) for c in itertools.product(range(3), repeat=3)]
    limit = CostLimit(table.flops, sorted(table.flops(a) for a in every)[9])
    allowed = [a for a in every if table.flops(a) <= limit.maximum]
    evaluate, _ = instant(fitness.value)
    result = EvolutionarySearch(tiny, limit, population=4, parents=2).run(evaluate)
    assert {e.architecture for e in result.evaluations} == set(allowed)
    assert result.best.fitness == max(fitness.value(a) for a in allowed)
    assert f"no more than {len(allowed)}" in result.stopped_because


def test_limit_that_one_of_a_million_meets(demo, instant, cost):
    evaluate, _ = instant(lambda a: 1.0)
    limit = CostLimit(cost(demo).flops, cost(demo).min_flops)
    result = EvolutionarySearch(demo, limit).run(evaluate)
    assert [e.architecture for e in result.evaluations] == [cost(demo).cheapest()]
    assert "262,144 random draws" in result.stopped_because
    assert "'demo', after 1" in result.stopped_because
    result = RandomSearch(demo, limit).run(evaluate)
    assert result.best.architecture == cost(demo).cheapest() and result.stopped_because


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("search", "name", "value"),
    [
        (EvolutionarySearch, "population", 1),
        (EvolutionarySearch, "parents", 0),
        (EvolutionarySearch, "parents", 51),
        (EvolutionarySearch, "mutation_probability", 1.1),
        (EvolutionarySearch, "mutation_probability", float("nan")),
        (EvolutionarySearch, "generations", 0),
        (EvolutionarySearch, "seed", -1),
        (RandomSearch, "count", 0),
    ],
)
def test_settings_that_can_not_work_are_refused(demo, search, name, value):
    with pytest.raises(SearchError, match=f"{name} .*{value}.*expected"):
        search(demo, **{name: value})
