"""A search under all limits at once, the latency measured by the command."""

from __future__ import annotations

import json

import numpy as np
import pytest

from detnas_d2.evaluation.latency import main as measure
from detnas_d2.space import CostTable, LatencyTable

EVERY = np.indices((3,) * 5).reshape(5, -1).T


@pytest.fixture(scope="module")
def table(workspace):
    path = workspace / "latency.json"
    config = str(workspace / "configs/tiny/step3.py")
    measure([config, "--output", str(path), "--rounds", "3", "--threads", "1"])
    return path


def test_all_limits_at_once(workspace, supernet, table, tiny_space):
    latency = LatencyTable.read(table).cost(tiny_space, (64, 64))
    params = CostTable(tiny_space, (64, 64)).params
    limits = {
        "latency": float(np.quantile(latency(EVERY), 0.7)),
        "params": int(np.quantile(params(EVERY), 0.7)),
    }
    arguments = [f"search.{name}_limit={value}" for name, value in limits.items()]
    folder = "output/limits"
    arguments += [f"search.latency_table={table}", f"train.output_dir={folder}"]
    arguments.append("search.algorithm.generations=1")
    status, output = workspace.call("search_net.py", "step3", *arguments)
    assert status == 0, output
    lines = workspace.evaluations(folder)
    assert len(lines) == 6
    for line in lines:
        assert latency(line["architecture"]) <= limits["latency"]
        assert line["params"] == params(line["architecture"]) <= limits["params"]
        assert line["flops"] <= 470_000
    assert "ms of latency" in output and f"of at most {limits['params']:,} parameters" in output

    # measured anew, the table has other figures: candidates may be others, so it is refused
    changed = json.loads(table.read_text())
    changed["constant_ms"] *= 0.999
    (workspace / "other.json").write_text(json.dumps(changed))
    (workspace / "same.json").write_text(table.read_text())
    arguments.append("search.latency_table=same.json")
    assert workspace.call("search_net.py", "step3", "--resume", *arguments)[0] == 0
    arguments.append("search.latency_table=other.json")
    status, _ = workspace.call("search_net.py", "step3", "--resume", *arguments)
    assert isinstance(status, str) and "  latency_table: " in status


def test_infeasible_limits_end_before_anything_is_written(workspace, supernet, table):
    for override, message in (
        ("search.params_limit=1000", "has at most 1,000 parameters; the smallest has"),
        ("search.latency_limit=1e-3", "has at most 0.001 ms of latency; the smallest has"),
    ):
        output_dir = "train.output_dir=output/refused_limit"
        arguments = [override, f"search.latency_table={table}", output_dir]
        status, _ = workspace.call("search_net.py", "step3", *arguments)
        assert isinstance(status, str) and message in status
        assert not (workspace / "output/refused_limit").exists()
