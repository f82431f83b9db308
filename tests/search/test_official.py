"""The options of the authors' search: parents out of all so far, and some random candidates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from detnas_d2.search import EvolutionarySearch, SearchError

OFFICIAL = {"parents_from": "all", "mutations": 20, "crossovers": 20}


def distance(a, b):
    return sum(x != y for x, y in zip(a, b, strict=True))


def best(evaluations, count):
    ranked = sorted(evaluations, key=lambda e: -e.fitness)
    return [e.architecture for e in ranked[:count]]


def test_a_population_is_20_mutations_20_crossovers_and_10_random(demo, instant, separable):
    evaluate, batches = instant(separable(demo).value)
    search = EvolutionarySearch(demo, generations=3, **OFFICIAL)
    result = search.run(evaluate)
    assert [len(b.architectures) for b in batches] == [50] * 3 and search.candidates == 150
    assert len({e.architecture for e in result.evaluations}) == 150
    for generation in (1, 2):
        parents = best(result.evaluations[: 50 * generation], 10)
        nearest = [
            min(distance(child, parent) for parent in parents)
            for child in batches[generation].architectures
        ]
        assert np.mean(nearest[:20]) < 2
        for child in batches[generation].architectures[20:40]:
            assert any(
                all(c in pair for c, *pair in zip(child, a, b, strict=True))
                for a, b in itertools.combinations(parents, 2)
            )
        # each of 10 blocks differs from a given parent's with probability 3/4
        assert np.mean(nearest[40:]) > 4


def test_parents_are_the_best_of_all_so_far(demo, instant):
    """Each generation is worse than the one before: the parents stay those of the first."""
    evaluate, batches = instant(lambda a: 0.0)
    order = itertools.count()

    def declining(architectures, generation):
        out = evaluate(architectures, generation)
        return [type(e)(**{**e.__dict__, "fitness": -float(next(order))}) for e in out]

    EvolutionarySearch(
        demo, population=12, generations=5, parents=4, mutations=0, crossovers=6, parents_from="all"
    ).run(declining)
    blocks = [set(column) for column in zip(*batches[0].architectures[:4], strict=True)]
    for batch in batches[1:]:
        for child in batch.architectures[:6]:
            assert all(choice in block for choice, block in zip(child, blocks, strict=True))


def test_random_ones_do_not_depend_on_the_fitness(demo, instant):
    drawn = []
    for fitness in (lambda a: float(a[0]), lambda a: -float(sum(a))):
        evaluate, batches = instant(fitness)
        search = EvolutionarySearch(
            demo, population=10, generations=3, parents=2, mutations=0, crossovers=0
        )
        search.run(evaluate)
        drawn.append([b.architectures for b in batches])
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"parents_from": "everywhere"}, "parents_from .* everywhere; expected population|all"),
        ({"mutations": 51}, "mutations .* 51; expected from 0 to 50"),
        ({"mutations": -1}, "mutations .* -1; expected"),
        ({"mutations": 20, "crossovers": 31}, "crossovers .* 31; expected from 0 to 30"),
        ({"crossovers": 26}, "crossovers .* 26; expected from 0 to 25"),
        ({"population": 12, **OFFICIAL}, "mutations .* 20; expected from 0 to 12"),
    ],
)
def test_settings_that_can_not_work(demo, settings, message):
    with pytest.raises(SearchError, match=message):
        EvolutionarySearch(demo, **{"parents": 10, **settings})
