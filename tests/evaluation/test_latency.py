"""The command that measures a latency table: with a clock that is known, and for real."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from detnas_d2.evaluation import latency
from detnas_d2.evaluation.latency import NETWORKS, main
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


# Blocks of one shape take the same time: 2 and 3 of the first stage are alike.
TABLE = np.array([[3, 4, 7], [1, 2, 5], [1, 2, 5], [2, 2.5, 6], [0.5, 1, 1.5]])


@pytest.fixture
def config(tmp_path):
    (tmp_path / "config.py").write_text(CONFIG)
    return str(tmp_path / "config.py")


@pytest.mark.parametrize(("noise", "rounds"), [(0.0, 3), (1.0, 25)])
def test_a_known_clock(monkeypatch, config, tmp_path, capsys, noise, rounds):
    """It gives the table back; noise that doubles times on average brings it to the level of whole
    networks: the lowest decile has the shape, the factor the level. Then a warning is due."""
    clock = Clock(2e-3, TABLE / 1e3, noise)

    class Timed(latency.Supernet):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.forward = clock.forward(self)

    monkeypatch.setattr(latency, "Supernet", Timed)
    monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    output = tmp_path / "latency.json"
    size = ("--input-size", "8", "8")
    main([config, "--output", str(output), "--rounds", str(rounds), "--threads", "1", *size])
    table = LatencyTable.read(output)
    check, ratio = table.check, np.array(table.block_ms) / TABLE
    assert table.threads == 1 and table.input_size == (8, 8)
    if noise:
        assert 1.5 < check["factor"] < 2.2 and check["median_error"] < 0.05
        assert ratio.min() > 1.6 and ratio.max() < 2.5
    else:
        assert np.allclose(ratio, 1) and table.constant_ms == pytest.approx(2)
        assert check["median_error"] == pytest.approx(0, abs=1e-9)
        assert check["factor"] == pytest.approx(1) == check["rank_correlation"]
        networks = np.array(check["architectures"])
        assert networks.shape == (NETWORKS, 5)
        expected = 2 + TABLE[np.arange(5), networks].sum(axis=1)
        assert np.allclose(check["measured_ms"], expected)
        assert np.allclose(check["predicted_ms"], expected)
    warning = "WARNING: expected are a median error of at most 10%"
    assert (warning in capsys.readouterr().err) == bool(noise)


def test_the_command_writes_what_a_search_reads(config, tmp_path, capsys):
    output = tmp_path / "new" / "latency.json"
    main([config, "--output", str(output), "--rounds", "4", "--batch-size", "2"])
    table = LatencyTable.read(output)
    assert table.input_size == (40, 56) and table.batch_size == 2  # search.input_size
    assert table.fingerprint == SPACE.fingerprint
    cost = table.cost(SPACE, (40, 56))
    assert 0 < cost.minimum < cost.maximum < 1000
    printed = capsys.readouterr().out
    assert f"median error {table.check['median_error']:.1%}" in printed
    assert f"{NETWORKS} other networks" in printed and table.device_name in printed
