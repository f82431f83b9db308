"""The record of one evaluation, the ranking, and the table of the top ten."""

from __future__ import annotations

import json

import pytest

from detnas_d2.search import Evaluation, rank
from detnas_d2.search.record import best_of
from detnas_d2.search.results import format_top

KEYS = ["architecture", "status", "fitness", "metrics", "flops", "params", "generation", "seconds"]


@pytest.mark.parametrize("fitness", [0.1 + 0.2, -1.0, 1e-300, None])
def test_json_has_the_keys_of_the_contract_and_is_exact(tiny, record, fitness):
    first = record(tiny, (2, 1, 0), fitness, metrics={"bbox/AP": 0.1, "bbox/APl": None})
    written = json.loads(json.dumps(first.to_json(), allow_nan=False))
    assert list(written) == KEYS + ["error"] * (fitness is None)
    assert written["architecture"] == [2, 1, 0]
    assert Evaluation.from_json(written, tiny) == first


@pytest.mark.parametrize(
    "change, names",
    [
        *(({"fitness": x}, "finite") for x in (float("nan"), float("inf"), None)),
        ({"status": "running"}, "'running'"),
        ({"status": "failed"}, "failed"),
        ({"status": "failed", "fitness": None}, "error"),
        ({"error": "ValueError: no"}, "error"),
        ({"architecture": [0, 1]}, "3"),
        ({"architecture": [0, 1, 7]}, "7"),
        ({"architecture": [0, 1, 1.0]}, "choice 1.0"),
        ({"flops": "12"}, "flops"),
        ({"params": 1.5}, "params"),
        ({"metrics": {"bbox/AP": "high"}}, "bbox/AP"),
        ({"metrics": {"bbox/AP": 1.0, "x": float("-inf")}}, "finite"),
        ({"speed": 1}, "speed"),
    ],
)
def test_from_json_names_what_is_wrong(tiny, record, change, names):
    with pytest.raises(ValueError, match=names):
        Evaluation.from_json({**record(tiny, (0, 0, 0)).to_json(), **change}, tiny)


def test_rank_is_by_fitness_then_flops_then_choices(tiny, record):
    best = record(tiny, (2, 2, 2), 3.0)
    small = record(tiny, (2, 0, 0), 2.0, flops=90)
    first, second = record(tiny, (0, 0, 1), 2.0), record(tiny, (0, 1, 0), 2.0)
    failed = record(tiny, (0, 0, 0), None)
    assert rank([second, failed, small, best, first]) == [best, small, first, second]
    assert best_of([first, failed, best, second]) == best
    assert best_of([second, first]) == first and best_of([failed]) is None


def test_table_of_the_top_ten(tiny, record):
    evaluations = [
        record(tiny, (i // 9, i // 3 % 3, i % 3), float(i), flops=288_082_368, generation=i)
        for i in range(14)
    ]
    lines = format_top([*evaluations, record(tiny, (2, 2, 2), None)]).splitlines()
    head = "rank fitness multiply-adds parameters generation architecture"
    assert lines[0].split() == head.split()
    assert lines[1].split() == ["1", "13.0000", "288.08M", "0.000M", "13", "1,1,1"]
    assert [line.split()[0] for line in lines[1:]] == [str(n) for n in range(1, 11)]
