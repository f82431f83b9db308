"""Searches that evaluate only the most promising of many children."""

from __future__ import annotations

import importlib.metadata
import itertools

import numpy as np
import pytest

from detnas_d2.errors import ConfigError
from detnas_d2.search import EvolutionarySearch, ParetoSearch, PredictorSearch, SearchError
from detnas_d2.search.predictor import Predictor
from detnas_d2.space import Architecture

SMALL = {"population": 10, "generations": 6, "parents": 4}


def rugged(space):
    """A number for each choice of each block, and one for each pair of choices of two blocks
    (neighbours or not), added up."""
    rng = np.random.default_rng(1)
    single = rng.random((space.num_blocks, space.num_choices))
    pairs = list(itertools.combinations(range(space.num_blocks), 2))
    double = rng.random((len(pairs), space.num_choices, space.num_choices)) / 3

    def value(architecture):
        found = sum(single[i, c] for i, c in enumerate(architecture))
        of_pairs = zip(double, pairs, strict=True)
        return float(found + sum(d[architecture[i], architecture[j]] for d, (i, j) in of_pairs))

    return value


def test_with_half_of_the_evaluations_it_finds_what_algorithm_2_finds(demo, instant):
    published = EvolutionarySearch(demo).run(instant(rugged(demo))[0])
    found = PredictorSearch(demo, generations=10).run(instant(rugged(demo))[0])
    assert len(found.evaluations) == len(published.evaluations) / 2 == 500
    assert found.best.fitness >= published.best.fitness


def test_pareto_search_covers_more_with_it(demo, instant, cost):
    """Area between the front and the costs, for as many evaluations."""
    flops = cost(demo).flops

    def covered(factor):
        search = ParetoSearch(
            demo, costs={"flops": flops}, population=20, generations=6, factor=factor
        )
        front = search.run(instant(rugged(demo))[0]).front
        values = [t.evaluation.fitness for t in front]
        edges = [*(t.costs["flops"] for t in front), flops.maximum]
        return float(np.dot(values, np.diff(edges)))

    assert covered(10) > covered(1)


def test_same_evaluations_same_candidates_and_a_share_is_random(demo, instant):
    def run(seed, random_share=0.2):
        evaluate, batches = instant(rugged(demo))
        PredictorSearch(demo, seed=seed, random_share=random_share, **SMALL).run(evaluate)
        drawn = [a for b in batches for a in b.architectures]
        assert len(set(drawn)) == len(drawn) == 60
        return drawn

    assert run(0) == run(0) != run(1)
    assert run(0, random_share=1.0)[10:] != run(0, random_share=0.0)[10:]


def test_failed_candidates_teach_nothing(demo, instant):
    value = rugged(demo)
    drawn = [
        Architecture(demo, tuple(row.tolist())) for row in demo.draw(np.random.default_rng(0), 60)
    ]
    evaluated = instant(lambda a: None if a.choices[0] == 3 else value(a))[0](drawn, 0)
    succeeded = [e for e in evaluated if e.ok]
    assert 20 < len(succeeded) < 60
    assert (Predictor(evaluated)(drawn) == Predictor(succeeded)(drawn)).all()


@pytest.mark.parametrize(
    "settings", [{"factor": 0}, {"factor": 2.5}, {"random_share": 1.1}, {"random_share": None}]
)
def test_settings_that_can_not_work_are_refused(demo, settings):
    with pytest.raises(ConfigError, match=f"search.algorithm.{next(iter(settings))}"):
        PredictorSearch(demo, **settings)


@pytest.mark.parametrize(
    "make",
    [PredictorSearch, lambda space: ParetoSearch(space, costs={"none": len}, factor=2)],
    ids=["predictor", "pareto"],
)
def test_without_scikit_learn_the_error_says_what_to_install(demo, monkeypatch, make):
    found = importlib.metadata.version

    def missing(name):
        if name == "scikit-learn":
            raise importlib.metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr("detnas_d2.search.predictor.version", missing)
    with pytest.raises(SearchError, match=r"pip install 'detnas-d2\[predictor\]'"):
        make(demo)
