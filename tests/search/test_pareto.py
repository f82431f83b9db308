"""NSGA-II on problems whose front is known, and the rules that it shares with Algorithm 2."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from detnas_d2.errors import ConfigError
from detnas_d2.search import (
    CostLimit,
    CostLimits,
    EvolutionarySearch,
    ParetoSearch,
    RandomSearch,
    SearchError,
)
from detnas_d2.space import Architecture


def brute_force_front(points):
    """Indices of the points that no other dominates; less is better."""

    def dominates(a, b):
        return all(x <= y for x, y in zip(a, b, strict=True)) and a != b

    return [i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)]


def choices_of(front):
    return {t.evaluation.architecture.choices for t in front}


def test_a_thousand_of_a_million_come_near_the_true_front(demo, instant, separable, cost):
    """Area under the true front (all 4^10 listed) that the found one covers."""
    fitness, table = separable(demo), cost(demo)
    codes = np.indices((4,) * 10, dtype=np.int8).reshape(10, -1).T
    values = fitness.table[np.arange(10), codes].sum(axis=1)
    flops = table.flops(codes)
    corner = values.min(), flops.max()

    def area(values, flops):
        """Of what is dominated, up to the worst fitness and cost."""
        order = np.lexsort((-values, flops))
        best = np.maximum.accumulate(values[order])
        widths = np.diff(np.append(flops[order], corner[1]))
        return float(((best - corner[0]) * widths).sum())

    whole = area(values, flops)
    covered = []
    for algorithm in (ParetoSearch(demo, costs={"flops": table.flops}), RandomSearch(demo)):
        result = algorithm.run(instant(fitness.value)[0])
        assert len(result.evaluations) == algorithm.candidates == 1000
        found = np.array([e.architecture.choices for e in result.evaluations])
        covered.append(
            area(np.array([e.fitness for e in result.evaluations]), table.flops(found)) / whole
        )
    assert covered[0] > 0.98 > covered[1] + 0.03


@pytest.mark.parametrize("is_flat", [False, True])
def test_the_whole_space_gives_the_true_front(tiny, instant, separable, cost, is_flat):
    """Of two costs and the fitness. Equal ones are all in it."""
    value = (lambda a: 1.0) if is_flat else separable(tiny).value
    weights, table = np.random.default_rng(8).random((3, 3)), cost(tiny)

    def latency(choices):
        return weights[np.arange(3), choices].sum(axis=1)

    costs = {"latency": latency, "params": table.params}
    result = ParetoSearch(tiny, costs=costs, population=9, generations=3).run(instant(value)[0])
    every = [Architecture(tiny, c) for c in itertools.product(range(3), repeat=3)]
    points = [(-value(a), float(latency(np.array([a.choices]))[0]), table.params(a)) for a in every]
    assert choices_of(result.front) == {every[i].choices for i in brute_force_front(points)}
    assert all(list(t.costs) == ["latency", "params"] for t in result.front)
    assert all(type(t.costs["latency"]) is float for t in result.front)


def test_children_are_mixes_of_survivors_that_did_not_fail(demo, instant, separable, cost):
    """Without mutation each child of the second generation is a mix of two of the first.

    Nothing over the limit is evaluated.
    """
    fitness, flops = separable(demo), cost(demo).flops
    limit = CostLimits(demo, [CostLimit(flops, (flops.minimum + flops.maximum) // 2)])

    def some_fail(a):
        return None if a[0] in (0, 3) else fitness.value(a)

    evaluate, batches = instant(some_fail, flops=flops)
    sizes = {"population": 20, "generations": 6, "mutation_probability": 0.0}
    result = ParetoSearch(demo, limit, costs={"flops": flops}, **sizes).run(evaluate)
    assert all(flops(e.architecture) <= limit.limits[0].maximum for e in result.evaluations)
    succeeded = [e for e in result.evaluations if e.ok]
    assert len(succeeded) < len(result.evaluations)
    assert all(t.evaluation.ok for t in result.front)
    parents = [e.architecture for e in succeeded if e.generation == 0]
    for child in batches[1].architectures[:10]:  # until the crossovers are used up
        assert any(
            all(c in pair for c, *pair in zip(child, a, b, strict=True))
            for a, b in itertools.combinations(parents, 2)
        )
    assert all(a[0] in (1, 2) for b in batches[1:] for a in b.architectures[:10])


@pytest.mark.parametrize(
    "name, value", [("costs", {}), ("population", 1), ("mutation_probability", 1.5)]
)
def test_settings_that_can_not_work_are_refused(demo, cost, name, value):
    with pytest.raises(ConfigError, match=f"{name} is {value}; expected"):
        ParetoSearch(demo, **{"costs": {"flops": cost(demo).flops}, name: value})


def test_without_pymoo_the_error_says_what_to_install(demo, cost, monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "pymoo"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymoo", None)
    with pytest.raises(SearchError, match=r"pip install 'detnas-d2\[pareto\]'"):
        ParetoSearch(demo, costs={"flops": cost(demo).flops})
    EvolutionarySearch(demo)
