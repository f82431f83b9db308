"""The command that measures a latency table: with a clock that is known, and for real."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from detnas_d2.evaluation import latency, timing
from detnas_d2.evaluation.latency import main
from detnas_d2.evaluation.timing import NETWORKS, measure_latency
from detnas_d2.space import LatencyTable, SearchSpace, ShuffleChoice, Stage, XceptionChoice

CHOICES = (ShuffleChoice(3), ShuffleChoice(5), XceptionChoice())
SPACE = SearchSpace("tiny", 4, (Stage(8, 3), Stage(16, 2)), CHOICES)
CONFIG = """
from detectron2.config import LazyCall as L
from detnas_d2.space import SearchSpace, ShuffleChoice, Stage, XceptionChoice

space = L(SearchSpace)(
    name="tiny",
    stem_channels=4,
    stages=[L(Stage)(channels=8, blocks=3), L(Stage)(channels=16, blocks=2)],
    choices=[L(ShuffleChoice)(kernel_size=3), L(ShuffleChoice)(kernel_size=5), L(XceptionChoice)()],
)
search = dict(input_size=(40, 56))
"""


class Clock:
    """Time passes in networks only: (stem, (L, C) seconds of the blocks), noise on top."""

    def __init__(self, stem, table, noise):
        self.stem, self.table, self.noise = stem, table, noise
        self.now = 0.0
        self.rng = np.random.default_rng(1)

    def forward(self, supernet):
        """A forward of the supernet that takes the table's time, hooks of its parts included."""
        run = type(supernet).forward

        def timed(images):
            handles = [supernet.stem.register_forward_pre_hook(self._passes(self.stem))]
            stages = [supernet.get_submodule(name) for name in supernet.space.stage_names]
            blocks = [block for stage in stages for block in stage]
            for row, choices in zip(self.table, blocks, strict=True):
                for seconds, choice in zip(row, choices, strict=True):
                    handles.append(choice.register_forward_pre_hook(self._passes(seconds)))
            try:
                return run(supernet, images)
            finally:
                for handle in handles:
                    handle.remove()

        return timed

    def _passes(self, seconds):
        def hook(*_):
            self.now += seconds * (1 + self.noise * self.rng.exponential())

        return hook


@pytest.fixture
def clock(monkeypatch):
    def install(stem, table, noise=0.0):
        clock = Clock(stem, table, noise)

        class Timed(timing.Supernet):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.forward = clock.forward(self)

        monkeypatch.setattr(timing, "Supernet", Timed)
        monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: clock.now))
        return clock

    return install


# Blocks of one shape take the same time: 2 and 3 of the first stage are alike.
TABLE = np.array([[3, 4, 7], [1, 2, 5], [1, 2, 5], [2, 2.5, 6], [0.5, 1, 1.5]])


def test_an_exact_clock_gives_the_table_back(clock):
    clock(2e-3, TABLE / 1e3)
    former = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        table = measure_latency(SPACE, (8, 8), threads=1, rounds=3)
        assert table.threads == 1 and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(former)
    assert np.allclose(table.block_ms, TABLE) and table.constant_ms == pytest.approx(2)
    assert table.check["median_error"] == pytest.approx(0, abs=1e-9)
    assert table.check["factor"] == pytest.approx(1)
    assert table.check["rank_correlation"] == pytest.approx(1)
    networks = np.array(table.check["architectures"])
    assert networks.shape == (NETWORKS, 5)
    expected = 2 + TABLE[np.arange(5), networks].sum(axis=1)
    assert np.allclose(table.check["measured_ms"], expected)
    assert np.allclose(table.check["predicted_ms"], expected)


def test_a_disturbed_clock_is_brought_to_the_level_of_whole_networks(clock):
    """Times that double on average: the lowest decile has the shape, the factor the level."""
    clock(2e-3, TABLE / 1e3, noise=1.0)
    table = measure_latency(SPACE, (8, 8), rounds=25)
    assert 1.5 < table.check["factor"] < 2.2
    assert table.check["median_error"] < 0.05
    ratio = np.array(table.block_ms) / TABLE
    assert ratio.min() > 1.6 and ratio.max() < 2.5


def test_the_command_writes_what_a_search_reads(tmp_path, capsys):
    config, output = tmp_path / "config.py", tmp_path / "new" / "latency.json"
    config.write_text(CONFIG)
    main([str(config), "--output", str(output), "--rounds", "4", "--batch-size", "2"])
    table = LatencyTable.read(output)
    assert table.input_size == (40, 56) and table.batch_size == 2  # search.input_size
    assert table.fingerprint == SPACE.fingerprint
    cost = table.cost(SPACE, (40, 56))
    assert 0 < cost.minimum < cost.maximum < 1000
    printed = capsys.readouterr().out
    assert f"median error {table.check['median_error']:.1%}" in printed
    assert f"{NETWORKS} other networks" in printed and table.device_name in printed
    assert json.loads(output.read_text())["check"]["measured_ms"]

    main([str(config), "--output", str(output), "--rounds", "1", "--input-size", "32", "24"])
    assert LatencyTable.read(output).input_size == (32, 24)


@pytest.mark.parametrize(("error", "factor"), [(0.11, 1.0), (0.01, 1.6)])
def test_a_poor_table_is_warned_of(monkeypatch, tmp_path, capsys, clock, error, factor):
    clock(2e-3, TABLE / 1e3)
    table = measure_latency(SPACE, (16, 16), rounds=1)
    monkeypatch.setattr(latency, "measure_latency", lambda *_, **__: table)
    arguments = ["demo", "--output", str(tmp_path / "latency.json")]
    main(arguments)
    assert "WARNING" not in capsys.readouterr().err
    table.check.update(median_error=error, factor=factor)
    main(arguments)
    assert "WARNING: expected are a median error of at most 10%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["300g", "--output", "x/t.json"], "there is no space '300g'"),
        (["none.py", "--output", "x/t.json"], "there is no config file 'none.py'"),
        (["demo", "--output", "x/t.json", "--input-size", "0", "3"], "the input size is"),
        (["demo", "--output", "file/t.json"], "File exists"),
        (["demo", "--output", "x/t.json", "--device", "cuda"], "PyTorch sees no GPU here"),
    ],
)
def test_what_can_not_work_is_refused_before(monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "file").touch()
    start = time.monotonic()
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert str(caught.value).startswith("latency: ") and message in str(caught.value)
    assert time.monotonic() - start < 5
