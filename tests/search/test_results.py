"""best_architecture.json and the table of the top ten."""

from __future__ import annotations

import json

from detnas_d2.search import format_top, write_best
from detnas_d2.space import Architecture


def test_best_architecture_is_what_the_contract_says(tiny, record, tmp_path):
    path = tmp_path / "best_architecture.json"
    write_best(path, record(tiny, (0, 1, 2), 0.1 + 0.2))
    assert json.loads(path.read_text()) == {
        "space": "tiny",
        "architecture": [0, 1, 2],
        "fitness": 0.1 + 0.2,
        "flops": 100,
        "params": 10,
    }
    assert Architecture.parse(str(path), tiny).choices == (0, 1, 2)


def test_table_of_the_top_ten(tiny, record):
    evaluations = [
        record(tiny, (i // 9, i // 3 % 3, i % 3), float(i), flops=288_082_368, generation=i)
        for i in range(14)
    ]
    evaluations.append(record(tiny, (2, 2, 2), None))
    lines = format_top(evaluations).splitlines()
    assert len(lines) == 11
    assert lines[0].split() == [
        "rank", "fitness", "multiply-adds", "parameters", "generation", "architecture",
    ]  # fmt: skip
    assert lines[1].split() == ["1", "13.0000", "288.08M", "0.000M", "13", "1,1,1"]
    assert [line.split()[0] for line in lines[1:]] == [str(n) for n in range(1, 11)]
    assert len({line.rindex(" ") for line in lines}) == 1  # the columns stand below each other
