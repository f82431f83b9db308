"""A search under all limits at once, the latency measured by the command."""

from __future__ import annotations

import json

import numpy as np

from detnas_d2.evaluation.latency import main as measure
from detnas_d2.space import CostTable, LatencyTable


def test_all_limits_at_once(workspace, supernet, tiny_space):
    table, folder = workspace / "latency.json", "output/limits"
    config = str(workspace / "configs/tiny/step3.py")
    measure([config, "--output", str(table), "--rounds", "3", "--threads", "1"])
    latency = LatencyTable.read(table).cost(tiny_space, (64, 64))
    params = CostTable(tiny_space, (64, 64)).params
    every = np.indices((3,) * 5).reshape(5, -1).T
    most_ms, most_params = (float(np.quantile(cost(every), 0.7)) for cost in (latency, params))
    limits = [f"search.latency_limit={most_ms}", f"search.params_limit={int(most_params)}"]

    def search(*arguments: str):
        common = (f"train.output_dir={folder}", "search.algorithm.generations=1", *limits)
        return workspace.call("search_net.py", "step3", *common, *arguments)

    # what no architecture reaches ends before anything is written
    of_table = f"search.latency_table={table}"
    status, _ = search(of_table, "search.latency_limit=1e-3")
    assert "has at most 0.001 ms of latency; the smallest has" in status
    assert not (workspace / folder).exists()

    status, output = search(of_table)
    assert status == 0, output
    lines = workspace.evaluations(folder)
    assert len(lines) == 6
    for line in lines:
        assert latency(line["architecture"]) <= most_ms
        assert line["params"] == params(line["architecture"]) <= most_params
        assert line["flops"] <= 470_000
    assert "ms of latency" in output and f"of at most {int(most_params):,} parameters" in output

    # measured anew, the table has other figures: candidates may be others, so it is refused
    (workspace / "same.json").write_text(table.read_text())
    changed = json.loads(table.read_text())
    changed["constant_ms"] *= 0.999
    (workspace / "other.json").write_text(json.dumps(changed))
    assert search("search.latency_table=same.json", "--resume")[0] == 0
    assert "  latency_table: " in search("search.latency_table=other.json", "--resume")[0]
