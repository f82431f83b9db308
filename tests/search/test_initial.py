"""Architectures that someone names: those that a search begins with, and those alone."""

from __future__ import annotations

import json
import logging

import pytest

from detnas_d2.search import (
    CostLimit,
    CostLimits,
    EvolutionarySearch,
    GivenArchitectures,
    LedgerError,
    ParetoSearch,
    RandomSearch,
    SearchError,
)

SMALL = {
    EvolutionarySearch: {"population": 8, "generations": 3, "parents": 4},
    ParetoSearch: {"population": 8, "generations": 3},
    RandomSearch: {"count": 24},
}
GIVEN = ["3,3,3,3,3,3,3,3,3,3", [2] * 10]


@pytest.fixture(params=SMALL, ids=lambda search: search.__name__)
def build(request, demo, cost):
    """build(...) -> a search of that class; build.room: how many it begins with at most."""

    def build(limit=None, **settings):
        extra = {"costs": {"flops": cost(demo).flops}} if request.param is ParetoSearch else {}
        return request.param(demo, limit, **SMALL[request.param], **extra, **settings)

    build.room = SMALL[request.param].get("population", 24)
    return build


@pytest.fixture
def former(demo, make_evaluator, separable, tmp_path):
    """Another search's ledger of 40 architectures, 6 of them failed, and its records."""
    fitness = separable(demo)

    def some_fail(architecture):
        if len(fitness.calls) % 7 == 3:
            fitness.calls.append(architecture)
            raise ValueError("no")
        return fitness(architecture)

    evaluate = make_evaluator(demo, some_fail, seed=77)
    result = RandomSearch(demo, count=40, seed=5).run(evaluate)
    (tmp_path / "ledger.jsonl").rename(tmp_path / "former.jsonl")
    assert sum(not e.ok for e in result.evaluations) == 6
    return tmp_path / "former.jsonl", result.evaluations


def test_given_alone_in_any_form_once_each_in_their_order(demo, instant, tmp_path):
    file = tmp_path / "best_architecture.json"
    file.write_text(json.dumps({"space": "demo", "architecture": [1] * 10, "fitness": 3.0}))
    for initial in (str(file), file, [1] * 10, {"architecture": [1] * 10}, [str(file), [1] * 10]):
        search = RandomSearch(demo, count=5, initial=initial)
        assert [a.choices for a in search.initial.architectures] == [(1,) * 10]
    evaluate, batches = instant(lambda a: float(sum(a)))
    search = GivenArchitectures(demo, architectures=[GIVEN[0], str(file), [0] * 10, [1] * 10])
    result = search.run(evaluate)
    assert [[a[0] for a in b.architectures] for b in batches] == [[3, 1, 0]]
    assert search.candidates == 3 and result.best.architecture.choices == (3,) * 10
    header = search.depends_on
    file.write_text(json.dumps({"space": "demo", "architecture": [2] * 10}))  # it changes
    again = GivenArchitectures(demo, architectures=[GIVEN[0], str(file), [0] * 10, [1] * 10])
    assert again.depends_on != header
    with pytest.raises(SearchError, match=r"search\.algorithm\.architectures is empty"):
        GivenArchitectures(demo, architectures=[])


def test_given_and_the_best_of_a_ledger_fill_the_first_population(
    build, instant, former, cost, caplog, demo
):
    """Those over the limit are passed over."""
    path, records = former
    table = cost(demo)
    ranked = [e.architecture for e in sorted(records, key=lambda e: -(e.fitness or 0)) if e.ok]
    limit = CostLimits(demo, [CostLimit(table.flops, sorted(table.flops(a) for a in ranked)[19])])
    allowed = [a for a in ranked if table.flops(a) <= limit.limits[0].maximum]
    evaluate, batches = instant(lambda a: 1.0)
    caplog.set_level(logging.INFO)
    search = build(limit, initial=[allowed[3], "0," * 10], initial_ledger=str(path))
    assert caplog.messages == []  # nothing is set up for the log before the search runs
    search.run(evaluate)
    taken = min(build.room, 21)
    expected = [allowed[3], *(a for a in allowed if a != allowed[3])]
    first = batches[0].architectures[:taken]
    assert first[0] == expected[0] and first[1].choices == (0,) * 10
    assert first[2:] == expected[1 : taken - 1]  # given ones are not repeated
    assert (
        f"The search begins with 2 given architectures and the best {taken - 2} of the 40 in "
        f"{str(path)!r} (6 failed there, 14 are over this search's limit). All are evaluated anew."
    ) in caplog.messages


def test_too_many_and_wrong_ledgers_are_refused_at_once(build, former, tiny, tmp_path):
    path, _ = former
    many = [[i // 4, i % 4, *[3] * 8] for i in range(16)] + [[i] * 9 + [0] for i in range(3)]
    many += [[i] * 9 + [1] for i in range(4)] + [[i] * 9 + [2] for i in range(3)]
    message = f"has 26 architectures, but the first population has room for {build.room}"
    with pytest.raises(SearchError, match=message):
        build(initial=many)
    (tmp_path / "no_ledger.jsonl").write_text('{"architecture": [0]}\n')
    lines = path.read_text().splitlines(keepends=True)
    lines[5] = lines[5].replace('"status"', '"stetus"')
    (tmp_path / "damaged.jsonl").write_text("".join(lines))
    for name, error, message in (
        ("no_ledger.jsonl", LedgerError, "line 1 is not the header"),
        ("damaged.jsonl", LedgerError, r"damaged\.jsonl, line 6 is damaged"),
    ):
        with pytest.raises(error, match=message):
            build(initial_ledger=tmp_path / name)
    with pytest.raises(LedgerError, match="of a search in space 'demo', defined otherwise .*tiny"):
        RandomSearch(tiny, count=3, initial_ledger=path)


def test_stopped_anywhere_and_resumed_it_is_the_same_search(
    build, demo, make_evaluator, separable, former, tmp_path
):
    """Some candidates fail; the order of the ledger's lines is that of the evaluations."""
    path, _ = former

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
            result = build(initial_ledger=path, initial=GIVEN, seed=4).run(evaluate)
        except KeyboardInterrupt:
            return None
        front = [t.evaluation.architecture for t in getattr(result, "front", ())]
        ledger = [(e.architecture, e.status, e.generation) for e in evaluate._ledger]
        assert [e.architecture for e in result.evaluations] == [a for a, *_ in ledger]
        return ledger, front

    reference = run()
    assert len(reference[0]) == 24 and {s for _, s, _ in reference[0]} == {"ok", "failed"}
    for stop in (0, 1, 7, 8, 9, 20, 23):
        (tmp_path / "ledger.jsonl").unlink()
        assert run(stop) is None
        assert run(resume=True) == reference
