"""NSGA-II on problems whose front is known, and the rules that it shares with Algorithm 2."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from detnas_d2.search import (
    CostLimit,
    EvolutionarySearch,
    LimitError,
    ParetoSearch,
    RandomSearch,
    SearchError,
)
from detnas_d2.space import Architecture, SearchSpace, ShuffleChoice, Stage, XceptionChoice

SMALL = {"population": 8, "generations": 4}


@pytest.fixture(scope="module")
def middling():
    """3^6 = 729 architectures."""
    choices = (ShuffleChoice(3), ShuffleChoice(7), XceptionChoice())
    return SearchSpace("middling", 8, (Stage(16, 3), Stage(32, 3)), choices)


@pytest.fixture
def search(cost):
    """search(space, limit, ...) -> a ParetoSearch of the multiply-adds."""

    def make(space, limit=None, **settings):
        return ParetoSearch(
            space, limit, costs={"flops": cost(space).flops}, **{**SMALL, **settings}
        )

    return make


def everything(space):
    product = itertools.product(range(space.num_choices), repeat=space.num_blocks)
    return [Architecture(space, c) for c in product]


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


def brute_force_front(points):
    """Indices of the points that no other dominates; less is better."""
    return [i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)]


def choices_of(front):
    return {t.evaluation.architecture.choices for t in front}


# --- the sorting -----------------------------------------------------------------------------


# --- known fronts ----------------------------------------------------------------------------


def test_a_thousand_of_a_million_come_near_the_true_front(demo, instant, separable, cost):
    """Area under the true front (all 4^10 listed) that the found one covers."""
    fitness, table = separable(demo), cost(demo)
    codes = np.arange(demo.size)[:, None] // 4 ** np.arange(9, -1, -1) % 4
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


def test_two_costs(middling, instant, separable, cost):
    fitness, table = separable(middling), cost(middling)
    weights = np.random.default_rng(8).random((6, 3))

    def latency(choices):
        return weights[np.arange(6), choices].sum(axis=1)

    search = ParetoSearch(
        middling, costs={"latency": latency, "params": table.params}, population=27, generations=27
    )
    result = search.run(instant(fitness.value)[0])
    every = everything(middling)
    points = [
        (-fitness.value(a), float(latency(np.array([a.choices]))[0]), table.params(a))
        for a in every
    ]
    assert choices_of(result.front) == {every[i].choices for i in brute_force_front(points)}
    assert all(list(t.costs) == ["latency", "params"] for t in result.front)
    assert all(type(t.costs["latency"]) is float for t in result.front)


def test_equal_ones_are_all_in_the_front(tiny, search, instant):
    result = search(tiny, population=9, generations=3).run(instant(lambda a: 1.0)[0])
    least = result.front[0].costs["flops"]
    assert {t.costs["flops"] for t in result.front} == {least}
    assert least == min(t for t in (search(tiny).costs["flops"](a) for a in everything(tiny)))


# --- the rules -------------------------------------------------------------------------------


def test_children_are_crossovers_of_survivors(demo, search, instant, separable):
    """Without mutation each child of the second generation is a mix of two of the first."""
    evaluate, batches = instant(separable(demo).value)
    search(demo, population=20, generations=2, mutation_probability=0.0).run(evaluate)
    parents = batches[0].architectures
    for child in batches[1].architectures:
        assert any(
            all(c in pair for c, *pair in zip(child, a, b, strict=True))
            for a, b in itertools.combinations(parents, 2)
        )


def test_nothing_over_the_limit_is_evaluated(demo, search, instant, separable, cost):
    table = cost(demo)
    limit = CostLimit(table.flops, (table.min_flops + table.max_flops) // 2)
    evaluate, batches = instant(separable(demo).value)
    search(demo, limit, population=20, generations=8).run(evaluate)
    assert all(table.flops(a) <= limit.maximum for b in batches for a in b.architectures)
    evaluate, batches = instant(lambda a: 1.0)
    with pytest.raises(LimitError, match=f"{table.min_flops:,}"):
        search(demo, CostLimit(table.flops, table.min_flops - 1)).run(evaluate)
    assert batches == []


def test_failed_candidates_are_in_no_front_and_no_parents(demo, search, instant, separable, cost):
    fitness, table = separable(demo), cost(demo)

    def cheapest_first_block_fails(a):
        return None if a[0] in (0, 3) else fitness.value(a)

    evaluate, batches = instant(cheapest_first_block_fails, flops=table.flops)
    result = search(demo, population=20, generations=6, mutation_probability=0.0).run(evaluate)
    failed = {e.architecture.choices for e in result.evaluations if not e.ok}
    assert failed and not failed & choices_of(result.front)
    succeeded = [e for e in result.evaluations if e.ok]
    points = [(-e.fitness, e.flops) for e in succeeded]
    assert choices_of(result.front) == {
        succeeded[i].architecture.choices for i in brute_force_front(points)
    }
    # their children have the first block of those that succeeded
    assert all(a[0] in (1, 2) for b in batches[1:] for a in b.architectures)


@pytest.mark.parametrize(
    "name, value",
    [
        ("population", 1),
        ("generations", 0),
        ("mutation_probability", 1.5),
        ("seed", -1),
    ],
)
def test_settings_that_can_not_work_are_refused(demo, search, name, value):
    with pytest.raises(SearchError, match=f"{name} .*{value}.*expected"):
        search(demo, **{name: value})
    with pytest.raises(SearchError, match="costs .* at least one"):
        ParetoSearch(demo, costs={})


# --- resuming --------------------------------------------------------------------------------


def test_stopped_anywhere_and_resumed_it_is_the_same_search(
    demo, search, make_evaluator, separable, tmp_path
):
    def run(stop=None, resume=False):
        fitness = separable(demo)

        def some_fail(a):
            if len(fitness.calls) == stop:
                raise KeyboardInterrupt
            if sum(a) % 5 == 0:
                fitness.calls.append(a)
                raise ValueError("no")
            return fitness(a)

        evaluate = make_evaluator(demo, some_fail, resume=resume)
        try:
            result = search(demo, seed=4).run(evaluate)
        except KeyboardInterrupt:
            result = None
        lines = list(evaluate._ledger)
        evaluate._ledger.close()
        return result, {(e.architecture, e.status, e.generation) for e in lines}

    reference, ledger = run()
    assert len(ledger) == 32 and {status for _, status, _ in ledger} == {"ok", "failed"}
    for stop in (0, 1, 7, 8, 9, 20, 31):
        (tmp_path / "ledger.jsonl").unlink()
        assert run(stop)[0] is None
        result, lines = run(resume=True)
        assert lines == ledger
        assert [t.evaluation.architecture for t in result.front] == [
            t.evaluation.architecture for t in reference.front
        ]


# --- pymoo -----------------------------------------------------------------------------------


def test_without_pymoo_the_error_says_what_to_install(demo, search, monkeypatch):
    monkeypatch.delitem(sys.modules, "detnas_d2.search.nsga2")
    monkeypatch.delattr("detnas_d2.search.nsga2")
    for name in [n for n in sys.modules if n.partition(".")[0] == "pymoo"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymoo", None)
    with pytest.raises(SearchError, match=r"pip install 'detnas-d2\[pareto\]'"):
        search(demo)
    EvolutionarySearch(demo)


def test_pymoo_is_loaded_by_a_pareto_search_alone():
    code = "import sys, detnas_d2.search as s; print('pymoo' in sys.modules, s.ParetoSearch)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("False"), done.stderr
