"""The limits that a config sets: which costs, at which size, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from detnas_d2.driver import build_limit
from detnas_d2.engine import ConfigError, load_config
from detnas_d2.search import LimitError
from detnas_d2.space import CostTable, LatencyTable, SpaceError, get_space

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SPACE = get_space("demo")
SIZE = (128, 128)  # of configs/common/search_small.py
CHOICES = np.indices((4,) * 10, dtype=np.int8).reshape(10, -1).T[:: 4**10 // 4096]


def build(*overrides: str, config: str = "bccd_small/step3_search_fpn.py"):
    return build_limit(load_config(str(CONFIGS / config), overrides), SPACE)


@pytest.fixture
def write_table(tmp_path):
    def write(space=SPACE, size=SIZE, check=None):
        rows = np.random.default_rng(0).uniform(1, 3, (space.num_blocks, space.num_choices))
        table = LatencyTable(
            space.name,
            space.fingerprint,
            size,
            1,
            "cpu",
            "none",
            1,
            "2",
            0.5,
            rows.tolist(),
            check or {},
        )
        file = tmp_path / "latency.json"
        file.write_text(json.dumps(table.to_json()))
        return file

    return write


def test_each_limit_is_on_its_cost_at_the_configs_input_size(write_table):
    file = write_table()
    table = CostTable(SPACE, SIZE)
    latency = LatencyTable.read(file).cost(SPACE, SIZE)
    costs = {
        "flops": table.flops,
        "params": table.params,
        "latency": latency,
    }
    middle = {name: float(np.median(cost(CHOICES))) for name, cost in costs.items()}
    every = np.ones(len(CHOICES), dtype=bool)
    for name, cost in costs.items():
        only = [f"search.{other}_limit=null" for other in costs if other != name]
        used, limit = build(
            *only, f"search.latency_table={file}", f"search.{name}_limit={middle[name]}"
        )
        assert used.input_size == SIZE
        expected = cost(CHOICES) <= middle[name]
        assert np.array_equal(limit.allows(CHOICES), expected) and expected.any()
        every &= expected
    together = [f"search.{name}_limit={middle[name]}" for name in costs]
    _, limit = build(f"search.latency_table={file}", *together)
    assert np.array_equal(limit.allows(CHOICES), every) and 0 < every.sum() < len(every)
    assert limit.allows(np.array([limit.witness().choices])).all()


def test_no_limit_at_all():
    _, limit = build("search.flops_limit=null")
    assert limit.allows(CHOICES).all() and limit.limits == ()


@pytest.mark.parametrize("value", ["0", "-3", "much", "true", "nan", "[1,2]"])
def test_what_is_no_limit_is_refused(value):
    with pytest.raises(ConfigError, match=r"search.params_limit is .*; expected a number above 0"):
        build(f"search.params_limit={value}")


def test_latency_needs_a_table_that_fits(write_table, tmp_path):
    with pytest.raises(ConfigError, match="needs search.latency_table; make one on the device"):
        build("search.latency_limit=20")
    with pytest.raises(SpaceError, match="none.json' can't be read"):
        build("search.latency_limit=20", f"search.latency_table={tmp_path / 'none.json'}")
    file = write_table(size=(224, 224))
    with pytest.raises(SpaceError, match="measured at 224x224 .* at 128x128 .search.input_size."):
        build(f"search.latency_table={file}")  # also where no limit is set
    file = write_table(space=get_space("300m"))
    with pytest.raises(SpaceError, match="is of space '300m'"):
        build("search.latency_limit=20", f"search.latency_table={file}")


@pytest.mark.parametrize(("error", "warned"), [(0.11, True), (0.1, False), (None, False)])
def test_a_table_that_was_far_off_is_warned_of(write_table, caplog, error, warned):
    file = write_table(check={"median_error": error})
    build(f"search.latency_table={file}")
    assert (f"{file} was off by 11% (median)" in caplog.text) == warned == bool(caplog.text)


def test_infeasible_limits_name_the_nearest_feasible_value(write_table):
    file = write_table()
    latency = LatencyTable.read(file).cost(SPACE, SIZE)
    table = f"search.latency_table={file}"
    with pytest.raises(LimitError, match="ms of latency; the smallest has") as caught:
        build(table, "search.latency_limit=1")
    value = str(caught.value).rpartition("Raise the limit to ")[2].split()[0]
    assert latency.minimum <= float(value) <= latency.minimum + 1e-4
    _, limit = build(table, f"search.latency_limit={value}", "search.flops_limit=null")
    assert limit.witness() == latency.cheapest()

    smallest = CostTable(SPACE, SIZE).min_flops
    both = (f"search.flops_limit={smallest}", f"search.latency_limit={latency.minimum}")
    with pytest.raises(LimitError, match="that meets all limits was found") as caught:
        build(table, *both)
    assert f"{smallest:,} multiply-adds; the smallest has {smallest:,}" in str(caught.value)
