"""Scoring of architectures that the user names."""

from __future__ import annotations

import json

import pytest

from detnas_d2.search import (
    CostLimit,
    Evaluator,
    GivenArchitectures,
    InProcessExecutor,
    Ledger,
    SearchError,
    make_header,
    read_ledger,
)
from detnas_d2.space import ArchitectureError, CostTable, get_space

SPACE = get_space("demo")
COST = CostTable(SPACE, (64, 64))


def fitness(architecture):
    return float(sum(architecture)), {"sum": float(sum(architecture))}


def run(tmp_path, architectures, limit=None):
    path = str(tmp_path / "ledger.jsonl")
    with Ledger(path, make_header(SPACE, "c", "k", 0), SPACE, resume=True) as ledger:
        evaluate = Evaluator(InProcessExecutor(fitness), COST, ledger)
        result = GivenArchitectures(SPACE, limit, architectures=architectures).run(evaluate)
    return result, [e.architecture.choices for e in read_ledger(path, SPACE)[1]]


def test_each_once_in_its_order(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"space": "demo", "architecture": [1] * 10}))
    given = ["3," * 9 + "3", str(file), [0] * 10, [1] * 10]
    result, ledger = run(tmp_path, given)
    assert ledger == [(3,) * 10, (1,) * 10, (0,) * 10]
    assert result.best.architecture.choices == (3,) * 10
    assert run(tmp_path, given)[1] == ledger  # resumed: answered from the ledger


def test_what_cannot_be_scored(tmp_path):
    with pytest.raises(SearchError, match=r"search\.algorithm\.architectures is empty"):
        run(tmp_path, [])
    with pytest.raises(ArchitectureError, match="got 2 choices, expected 10"):
        run(tmp_path, [[0] * 10, [1, 2]])
    limit = CostLimit(COST.flops, COST.flops([0] * 10))
    with pytest.raises(
        SearchError, match=r"over the search's limit: architecture 2,2,2,2,2,2,2,2,2,2\."
    ):
        run(tmp_path, [[0] * 10, [2] * 10], limit)


def test_the_header_knows_what_the_files_held(tmp_path):
    file = tmp_path / "a.json"
    headers = []
    for choice in (1, 2):
        file.write_text(json.dumps({"space": "demo", "architecture": [choice] * 10}))
        headers.append(GivenArchitectures(SPACE, architectures=[str(file)]).depends_on)
    assert headers[0] != headers[1]
    assert headers[1] == GivenArchitectures(SPACE, architectures=[[2] * 10]).depends_on
