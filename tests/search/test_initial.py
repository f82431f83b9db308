"""What a search begins with: given architectures, and the best of another search's ledger."""

from __future__ import annotations

import json
import logging

import pytest

from detnas_d2.search import (
    CostLimit,
    EvolutionarySearch,
    LedgerError,
    ParetoSearch,
    RandomSearch,
    SearchError,
)
from detnas_d2.space import Architecture, ArchitectureError, get_space

SMALL = {
    EvolutionarySearch: {"population": 8, "generations": 3, "parents": 4},
    ParetoSearch: {"population": 8, "generations": 3},
    RandomSearch: {"count": 24},
}
ROOM = {EvolutionarySearch: 8, ParetoSearch: 8, RandomSearch: 24}
GIVEN = ["3,3,3,3,3,3,3,3,3,3", [2] * 10]


@pytest.fixture(params=SMALL, ids=lambda search: search.__name__)
def build(request, demo, cost):
    """build(...) -> a search of that class."""

    def build(limit=None, **settings):
        extra = {"costs": {"flops": cost(demo).flops}} if request.param is ParetoSearch else {}
        return request.param(demo, limit, **SMALL[request.param], **extra, **settings)

    build.room = ROOM[request.param]
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
    evaluate._ledger.close()
    (tmp_path / "ledger.jsonl").rename(tmp_path / "former.jsonl")
    assert sum(not e.ok for e in result.evaluations) == 6
    return tmp_path / "former.jsonl", result.evaluations


def best_first(evaluations):
    ranked = sorted((e for e in evaluations if e.ok), key=lambda e: -e.fitness)
    return [e.architecture for e in ranked]


def test_given_ones_come_first(build, demo, instant, separable):
    evaluate, batches = instant(separable(demo).value)
    result = build(initial=GIVEN).run(evaluate)
    first = batches[0].architectures
    assert [a.choices for a in first[:2]] == [(3,) * 10, (2,) * 10]
    assert len(first) == build.room and len(result.evaluations) == 24
    assert len({e.architecture for e in result.evaluations}) == 24
    # without them, the rest is what is drawn otherwise
    evaluate, plain = instant(separable(demo).value)
    build().run(evaluate)
    assert len(plain[0].architectures) == build.room
    assert not {(3,) * 10, (2,) * 10} & {a.choices for a in plain[0].architectures}


@pytest.mark.parametrize("form", ["text", "list", "file", "path", "mapping", "object"])
def test_a_single_one_in_any_form(demo, tmp_path, form):
    file = tmp_path / "best_architecture.json"
    file.write_text(json.dumps({"space": "demo", "architecture": [1] * 10, "fitness": 3.0}))
    given = {
        "text": "1," * 9 + "1",
        "list": [1] * 10,
        "file": str(file),
        "path": file,
        "mapping": {"space": "demo", "architecture": [1] * 10},
        "object": Architecture(demo, (1,) * 10),
    }[form]
    for initial in (given, [given], [given, "1,1,1,1,1,1,1,1,1,1"]):
        search = RandomSearch(demo, count=5, initial=initial)
        assert [a.choices for a in search.initial.architectures] == [(1,) * 10]


def test_the_best_of_a_ledger_fill_the_first_population(build, demo, instant, former):
    path, records = former
    evaluate, batches = instant(lambda a: 1.0)
    build(initial_ledger=path).run(evaluate)
    ranked = best_first(records)
    expected = ranked[: build.room]
    assert batches[0].architectures[: len(expected)] == expected
    # given ones go before, and are not repeated
    evaluate, batches = instant(lambda a: 1.0)
    build(initial=[ranked[3], GIVEN[0]], initial_ledger=str(path)).run(evaluate)
    rest = [a for a in ranked if a != ranked[3]]
    first = batches[0].architectures
    assert first[0] == ranked[3] and first[1].choices == (3,) * 10
    assert first[2:] == rest[: build.room - 2]
    assert len(set(first)) == len(first) == build.room


def test_those_of_a_ledger_over_the_limit_are_passed_over(
    build, demo, instant, former, cost, caplog
):
    path, records = former
    table = cost(demo)
    limit = CostLimit(table.flops, sorted(table.flops(e.architecture) for e in records)[19])
    allowed = [a for a in best_first(records) if table.flops(a) <= limit.maximum]
    evaluate, batches = instant(lambda a: 1.0)
    caplog.set_level(logging.INFO)
    search = build(limit, initial_ledger=path)
    assert caplog.messages == []  # nothing is set up for the log before the search runs
    search.run(evaluate)
    taken = min(build.room, len(allowed))
    assert batches[0].architectures[:taken] == allowed[:taken]
    assert (
        f"The search begins with 0 given architectures and the best {taken} of the 40 in "
        f"{str(path)!r} (6 failed there, {34 - len(allowed)} are over this search's limit). "
        "All are evaluated anew."
    ) in caplog.messages


def test_given_ones_over_the_limit_are_named(build, demo, cost):
    table = cost(demo)
    limit = CostLimit(table.flops, table.flops([2] * 10) - 1)
    with pytest.raises(SearchError) as caught:
        build(limit, initial=[[0] * 10, *GIVEN])
    over = [a for a in ((3,) * 10, (2,) * 10) if table.flops(list(a)) > limit.maximum]
    assert over and all(",".join(map(str, a)) in str(caught.value) for a in over)
    assert "over the search's limit" in str(caught.value)
    assert ",".join(["0"] * 10) not in str(caught.value)


@pytest.mark.parametrize(
    "initial, error, message",
    [
        ([[0] * 9], ArchitectureError, "got 9 choices, expected 10"),
        ("0,1", ArchitectureError, "got 2 choices, expected 10"),
        (["nowhere.json"], ArchitectureError, "there is no file 'nowhere.json'"),
        ([[0] * 9 + [i // 4] if i % 4 == 0 else [0] * 8 + [i % 4, i // 4] for i in range(16)]
         + [[1] * 9 + [i] for i in range(4)] + [[2] * 9 + [i] for i in range(4)]
         + [[3] * 9 + [i] for i in range(4)],
         SearchError, r"has 28 architectures, but the first population has room for (8|24)"),
    ],
)  # fmt: skip
def test_wrong_ones_are_refused_at_once(build, initial, error, message):
    with pytest.raises(error, match=message):
        build(initial=initial)


def test_wrong_ledgers_are_refused_at_once(build, former, tiny, tmp_path):
    path, _ = former
    with pytest.raises(SearchError, match=r"search\.initial_ledger: can't read .*nowhere"):
        build(initial_ledger=tmp_path / "nowhere.jsonl")
    with pytest.raises(SearchError, match=r"search\.initial_ledger: can't read .*directory"):
        build(initial_ledger=tmp_path)
    (tmp_path / "no_ledger.jsonl").write_text('{"architecture": [0]}\n')
    with pytest.raises(LedgerError, match="line 1 is not the header"):
        build(initial_ledger=tmp_path / "no_ledger.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    lines[5] = lines[5].replace('"status"', '"stetus"')
    (tmp_path / "damaged.jsonl").write_text("".join(lines))
    with pytest.raises(LedgerError, match=r"damaged\.jsonl, line 6 is damaged"):
        build(initial_ledger=tmp_path / "damaged.jsonl")


def test_a_ledger_of_another_space_is_refused(former, tiny):
    path, _ = former
    with pytest.raises(LedgerError, match="of a search in space 'demo', defined otherwise .*tiny"):
        RandomSearch(tiny, count=3, initial_ledger=path)
    with pytest.raises(LedgerError, match="of a search in space 'demo'"):
        RandomSearch(get_space("300m"), count=3, initial_ledger=path)


def test_the_header_knows_what_the_search_begins_with(build, demo, former):
    path, _ = former
    assert "initial" not in build().depends_on
    by_list = build(initial=GIVEN).depends_on["initial"]
    assert by_list == build(initial=[[3] * 10, "2," * 9 + "2"]).depends_on["initial"]
    assert by_list.startswith("2 architectures, ")
    assert by_list != build(initial=GIVEN[::-1]).depends_on["initial"]
    by_ledger = build(initial_ledger=path).depends_on["initial"]
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:20]))  # the file changes
    assert by_ledger != build(initial_ledger=path).depends_on["initial"]


def test_resumed_with_its_ledger_it_is_the_same_search(
    build, demo, make_evaluator, separable, former, tmp_path
):
    path, _ = former
    ledgers = []
    for stop in (24, 5):
        fitness = separable(demo)

        def stopping(architecture, fitness=fitness, stop=stop):
            if len(fitness.calls) == stop:
                raise KeyboardInterrupt
            return fitness(architecture)

        evaluate = make_evaluator(demo, stopping)
        try:
            build(initial_ledger=path, initial=GIVEN).run(evaluate)
        except KeyboardInterrupt:
            evaluate._ledger.close()
            evaluate = make_evaluator(demo, separable(demo), resume=True)
            build(initial_ledger=path, initial=GIVEN).run(evaluate)
        ledgers.append({e.architecture for e in evaluate._ledger})
        evaluate._ledger.close()
        (tmp_path / "ledger.jsonl").unlink()
    assert ledgers[0] == ledgers[1] and len(ledgers[0]) == 24
