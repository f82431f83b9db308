"""The limits and the algorithm that a config names: which costs, at which size, what is refused."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from detectron2.config import LazyCall as L

from detnas_d2.driver import build_algorithm, build_fitness, build_limit
from detnas_d2.engine import ConfigError, load_config
from detnas_d2.evaluation import CandidateFitness
from detnas_d2.search import GivenArchitectures, SearchError
from detnas_d2.space import CostTable, LatencyTable, SpaceError, get_space

CONFIGS = Path(__file__).resolve().parents[2] / "configs/bccd_small"
SPACE = get_space("demo")
SIZE = (128, 128)  # of configs/common/search_small.py
CHOICES = np.indices((4,) * 10, dtype=np.int8).reshape(10, -1).T[:: 4**10 // 4096]


def load(*overrides: str, name: str = "fpn"):
    return load_config(str(CONFIGS / f"step3_search_{name}.py"), overrides)


def limit_of(*overrides: str):
    return build_limit(load(*overrides), SPACE)


def algorithm_of(name: str, *overrides: str):
    cfg = load(*overrides, name=name)
    return build_algorithm(cfg, *build_limit(cfg, SPACE))


class OwnFitness(CandidateFitness):
    def __init__(self, **needs):
        vars(self).update(needs)

    def check(self, cfg):
        """It calls no method of its base."""


@pytest.mark.parametrize(
    ("needs", "refused"),
    [
        ({}, ["train.init_checkpoint, the weights of the supernet", "dataloader.calibration,"]),
        ({"weights": "training", "loaders": ("train", "test")}, []),
        ({"weights": "none", "loaders": ("val",)}, ["dataloader.val, which search.fitness needs"]),
        ({"weights": "trained"}, ["weights is 'trained'; expected supernet, training or none"]),
    ],
)
def test_what_a_fitness_of_ones_own_needs(needs, refused, bccd_images):
    cfg = load("train.init_checkpoint=''", "dataloader.calibration=null")
    cfg.search.fitness = L(OwnFitness)(**needs)
    expected = pytest.raises(ConfigError) if refused else nullcontext()
    with expected as caught:
        assert build_fitness(cfg).loaders == ("train", "test")
    lines = str(caught.value).splitlines()[-len(refused) :] if refused else []
    assert all(part in line for part, line in zip(refused, lines, strict=True)), lines


def test_data_sets_that_no_fitness_reads_may_be_missing(bccd_images):
    cfg = load("train.init_checkpoint=gone.pth", "dataloader.train.dataset.names=gone")
    cfg.search.fitness = L(OwnFitness)(weights="none", loaders=("test", "evaluator"))
    build_fitness(cfg)
    cfg.search.fitness = L(OwnFitness)(weights="training", loaders=("train",))
    with pytest.raises(
        ConfigError, match=r"1\. (?s:.*)'gone'(?s:.*)2\. .*'gone.pth' does not exist"
    ):
        build_fitness(cfg)


@pytest.fixture
def write_table(tmp_path):
    """A latency table with made-up figures."""

    def write(space=SPACE, size=SIZE, check=None):
        rows = np.random.default_rng(0).uniform(1, 3, (space.num_blocks, space.num_choices))
        machine = (1, "cpu", "none", 1, "2", 0.5)
        figures = (rows.tolist(), check or {})
        table = LatencyTable(space.name, space.fingerprint, size, *machine, *figures)
        file = tmp_path / "latency.json"
        file.write_text(json.dumps(table.to_json()))
        return file

    return write


def costs_of(file):
    table = CostTable(SPACE, SIZE)
    latency = LatencyTable.read(file).cost(SPACE, SIZE)
    return {"flops": table.flops, "params": table.params, "latency": latency}


def test_each_limit_is_on_its_cost_at_the_configs_input_size(write_table):
    file = write_table()
    costs = costs_of(file)
    middle = {name: float(np.median(cost(CHOICES))) for name, cost in costs.items()}
    every = np.ones(len(CHOICES), dtype=bool)
    for name, cost in costs.items():
        only = [f"search.{other}_limit=null" for other in costs if other != name]
        only += [f"search.latency_table={file}", f"search.{name}_limit={middle[name]}"]
        used, limit = limit_of(*only)
        assert used.input_size == SIZE
        expected = cost(CHOICES) <= middle[name]
        assert np.array_equal(limit.allows(CHOICES), expected) and expected.any()
        every &= expected
    together = [f"search.{name}_limit={middle[name]}" for name in costs]
    _, limit = limit_of(f"search.latency_table={file}", *together)
    assert np.array_equal(limit.allows(CHOICES), every) and 0 < every.sum() < len(every)
    _, limit = limit_of("search.flops_limit=null")
    assert limit.allows(CHOICES).all() and limit.limits == ()


def test_latency_needs_a_table_that_fits(write_table):
    file, sizes = write_table(size=(224, 224)), "at .224, 224. .* at .128, 128. .*input_size"
    with pytest.raises(SpaceError, match=f"measured {sizes}"):
        limit_of(f"search.latency_table={file}")  # also where no limit is set
    file = write_table(space=get_space("300m"))
    with pytest.raises(SpaceError, match="is of space '300m'"):
        limit_of("search.latency_limit=20", f"search.latency_table={file}")


def test_a_table_that_was_far_off_is_warned_of(write_table, caplog):
    for error in (None, 0.1, 0.11):
        assert caplog.text == ""
        file = write_table(check={"median_error": error})
        limit_of(f"search.latency_table={file}")
    assert f"{file} was off by 11% (median)" in caplog.text


def test_costs_by_name(write_table):
    file = write_table()
    names = "search.algorithm.costs=[latency,params,flops]"
    search = algorithm_of("pareto_fpn", names, f"search.latency_table={file}")
    assert list(search.costs) == ["latency", "params", "flops"]
    for name, cost in costs_of(file).items():
        assert (search.costs[name](CHOICES) == cost(CHOICES)).all()
    for wrong, error, message in (
        ("[flops,joules]", ConfigError, "no cost 'joules'; known are flops, params, latency"),
        ("[latency]", ConfigError, r"needs search\.latency_table"),
        ("[]", ConfigError, "expected at least one"),
    ):
        with pytest.raises(error, match=message):
            algorithm_of("pareto_fpn", f"search.algorithm.costs={wrong}")


def test_what_it_begins_with():
    zeros = ",".join("0" * 10)
    for given in (f"['{zeros}']", f"[[{zeros}]]", zeros):
        search = algorithm_of("fpn", f"search.initial={given}")
        assert [a.choices for a in search.initial.architectures] == [(0,) * 10]
    assert algorithm_of("random_fpn", f"search.initial={zeros}").initial.architectures
    cfg = load(f"search.initial={zeros}")
    cfg.search.algorithm = {"_target_": GivenArchitectures, "architectures": ["0," * 10]}
    costs_and_limit = build_limit(cfg, SPACE)
    with pytest.raises(SearchError, match="GivenArchitectures takes no architectures to begin"):
        build_algorithm(cfg, *costs_and_limit)
    cfg.search.initial = None
    assert build_algorithm(cfg, *costs_and_limit).candidates == 1
