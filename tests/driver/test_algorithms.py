"""The algorithm of a config: its costs by name, and what it begins with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from detnas_d2.driver import build_algorithm, build_limit
from detnas_d2.engine import ConfigError, load_config
from detnas_d2.search import EvolutionarySearch, GivenArchitectures, RandomSearch, SearchError
from detnas_d2.space import CostTable, LatencyTable, get_space

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "bccd_small"
SPACE = get_space("demo")
SIZE = (128, 128)


def build(name: str, *overrides: str):
    cfg = load_config(str(CONFIGS / f"step3_search_{name}.py"), overrides)
    return build_algorithm(cfg, SPACE, build_limit(cfg, SPACE)[1])


@pytest.fixture
def latency(tmp_path) -> Path:
    """A table with made-up figures."""
    rows = np.random.default_rng(0).random((SPACE.num_blocks, SPACE.num_choices))
    table = LatencyTable(
        "demo", SPACE.fingerprint, SIZE, 1, "cpu", "none", 1, "2", 0.5, rows.tolist(), {}
    )
    file = tmp_path / "latency.json"
    file.write_text(json.dumps(table.to_json()))
    return file


def test_the_algorithms_of_the_configs():
    plain, official, random, pareto = map(
        build, ("fpn", "official_fpn", "random_fpn", "pareto_fpn")
    )
    assert {a.candidates for a in (plain, official, random, pareto)} == {48}
    assert (plain.parents_from, plain.mutations, plain.crossovers) == ("population", 6, 6)
    assert (official.parents_from, official.mutations, official.crossovers) == ("all", 5, 5)
    assert type(plain) is type(official) is EvolutionarySearch and type(random) is RandomSearch
    assert list(pareto.costs) == ["flops"] and pareto.population == 12
    assert build("fpn", "search.seed=9").seed == 9


def test_costs_by_name(latency):
    search = build(
        "pareto_fpn",
        "search.algorithm.costs=[latency,params,flops]",
        f"search.latency_table={latency}",
    )
    assert list(search.costs) == ["latency", "params", "flops"]
    table = CostTable(SPACE, SIZE)
    expected = {
        "latency": LatencyTable.read(latency).cost(SPACE, SIZE),
        "params": table.params,
        "flops": table.flops,
    }
    choices = np.random.default_rng(1).integers(4, size=(50, 10))
    for name, cost in expected.items():
        assert (search.costs[name](choices) == cost(choices)).all()


def test_costs_that_there_are_not():
    with pytest.raises(ConfigError, match=r"no cost 'joules'; known are flops, params, latency"):
        build("pareto_fpn", "search.algorithm.costs=[flops,joules]")
    with pytest.raises(ConfigError, match=r"needs search\.latency_table"):
        build("pareto_fpn", "search.algorithm.costs=[latency]")
    with pytest.raises(SearchError, match="expected at least one"):
        build("pareto_fpn", "search.algorithm.costs=[]")


def test_what_it_begins_with():
    zeros = ",".join("0" * 10)
    for given in (f"['{zeros}']", f"[[{zeros}]]", f"'{zeros}'", zeros, f"[{zeros}]"):
        for name in ("fpn", "random_fpn", "pareto_fpn"):
            search = build(name, f"search.initial={given}")
            assert [a.choices for a in search.initial.architectures] == [(0,) * 10]
    assert build("fpn").initial.architectures == ()


def test_given_architectures_take_none_to_begin_with():
    cfg = load_config(str(CONFIGS / "step3_search_fpn.py"), ["search.initial=0,0,0,0,0,0,0,0,0,0"])
    cfg.search.algorithm = {"_target_": GivenArchitectures, "architectures": ["0," * 10]}
    limit = build_limit(cfg, SPACE)[1]
    with pytest.raises(ConfigError, match="GivenArchitectures takes no architectures to begin"):
        build_algorithm(cfg, SPACE, limit)
    cfg.search.initial = None
    assert build_algorithm(cfg, SPACE, limit).candidates == 1
