"""The time of steps: what is counted, what is measured once, and what would be shorter."""

from __future__ import annotations

import time

import pytest
from detectron2.config import LazyConfig
from omegaconf import OmegaConf
from tiny import ROOT, detector

from detnas_d2.driver import estimate
from detnas_d2.driver.estimate import (
    DAY,
    START,
    Estimator,
    Planned,
    estimate_table,
    smaller_settings,
    smaller_table,
    total_seconds,
)
from detnas_d2.driver.estimate_measure import (
    CandidateTime,
    measure_candidate,
    measure_test,
    measure_training,
)
from detnas_d2.engine import ConfigError


@pytest.fixture
def cfg(tmp_path):
    """A fixed network's training, with 10 iterations."""
    cfg = detector(tmp_path, architecture=(0, 1, 2, 0, 1))
    cfg.train.max_iter = 10
    return cfg


@pytest.fixture
def search(tmp_path):
    cfg = detector(tmp_path)
    settings = LazyConfig.load(str(ROOT / "configs/common/search.py")).search
    settings.flops_limit = None
    settings.calibration_batches = 6
    settings.algorithm.population = 5
    settings.algorithm.generations = 4
    settings.algorithm.parents = 2
    cfg.search = settings
    return cfg


@pytest.fixture
def measured(monkeypatch):
    """Known figures in the place of measurements; the calls that were made."""
    calls = []

    def fake(name, result):
        def measure(cfg, *more):
            calls.append(name)
            return result(cfg) if callable(result) else result

        monkeypatch.setattr(estimate, f"measure_{name}", measure)

    edge = "dataloader.train.mapper.augmentations.0.short_edge_length"
    fake(
        "training", lambda cfg: 2.0 * (OmegaConf.select(cfg, edge.replace(".0.", "[0].")) / 72) ** 2
    )
    fake("test", (0.5, 30))
    fake("candidate", CandidateTime(0.01, 3.0, 0.1, 1.0, 30))
    return calls


def test_what_steps_are_made_of(cfg, search, measured):
    steps = [
        Planned("train", "train", cfg),
        Planned("search", "search", search),
        Planned("test", "test", cfg),
    ]
    train, found, test = Estimator().predict(steps)
    assert train.seconds == pytest.approx(START + 10 * 2.0 + 30 * 0.5)  # it evaluates at its end
    images = 6 * search.dataloader.calibration.total_batch_size + 30
    candidate = 6 * 3.0 + 30 * 0.1 + 1.0
    assert found.seconds == pytest.approx(START + 20 * candidate + images * 0.01)
    assert test.seconds == pytest.approx(START + 30 * 0.5)

    search.search.workers = 4
    (shared,) = Estimator().predict(steps[1:2])
    assert shared.each == pytest.approx(candidate / 4)
    cfg.train.eval_period = 5
    (twice,) = Estimator().predict(steps[:1])
    assert twice.seconds == pytest.approx(START + 10 * 2.0 + 2 * 30 * 0.5)


def test_what_is_alike_is_measured_once(cfg, measured):
    other = cfg.copy()
    other.train.max_iter = 7
    other.train.init_checkpoint = "elsewhere.pth"
    other.optimizer.lr = 0.5
    other.model.backbone.bottom_up.architecture = [1, 1, 1, 1, 1]
    larger = cfg.copy()
    larger.dataloader.train.total_batch_size = 8
    plan = [Planned(str(i), "train", c) for i, c in enumerate((cfg, other, larger))]
    counts = [p.count for p in Estimator().predict(plan)]
    assert counts == [10, 7, 10]
    assert measured == ["training", "test", "training", "test"]


def test_smaller_settings_over_a_day(cfg, search, measured):
    cfg.train.max_iter = 90_000
    estimator = Estimator()
    plan = [Planned("train", "train", cfg), Planned("search", "search", search)]
    assert total_seconds(estimator.predict(plan)) > 2 * DAY
    found = dict(smaller_settings(plan, estimator))
    whole = total_seconds(estimator.predict(plan))
    iterations, size, generations, norms, everything = found.values()
    assert iterations == pytest.approx(whole - 45_000 * 2.0)
    assert size == pytest.approx(whole - 90_000 * 2.0 * (1 - (43 / 72) ** 2), rel=1e-3)
    assert generations == pytest.approx(whole - 10 * 22.0)
    assert norms == pytest.approx(whole - 20 * 3 * 3.0, rel=1e-3)
    assert everything < min(iterations, size, generations, norms)
    text = smaller_table(smaller_settings(plan, estimator))
    for key in ("train.max_iter", "short_edge", "search.algorithm.generations", "machines.py"):
        assert key in text
    assert cfg.train.max_iter == 90_000 and search.search.algorithm.generations == 4  # as before


def test_the_table(cfg, measured):
    table = estimate_table(Estimator().predict([Planned("step4", "train", cfg)]))
    assert "step4" in table and "10 iterations" in table and "2 s" in table
    assert table.splitlines()[-1].split() == ["total", "43", "s"]


def test_no_gpu(cfg, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    cfg.train.device = "cuda"
    with pytest.raises(ConfigError, match='2 GPU.s., but PyTorch sees 0 here.*machine = "cpu"'):
        Estimator().predict([Planned("step2", "train", cfg, gpus=2)])


def test_measurements_are_real_and_leave_nothing(cfg, search, tmp_path, bccd_images, monkeypatch):
    """Against a plain stopwatch around the same work, on data that are there."""
    monkeypatch.setattr("detnas_d2.driver.estimate_measure.SECONDS", 0.5)
    cfg.model.backbone.bottom_up.architecture = "output/not_there/best_architecture.json"
    cfg.train.init_checkpoint = "not there.pth"
    start = time.perf_counter()
    each = measure_training(cfg)
    whole = time.perf_counter() - start
    assert 0 < 6 * each < whole
    image, images = measure_test(cfg)
    assert image > 0 and images == 3
    candidate = measure_candidate(search)
    assert candidate.images == 3 and min(candidate) > 0
    assert not list(tmp_path.iterdir())  # the configs' output folder
    assert cfg.train.init_checkpoint == "not there.pth"


def test_command(tmp_path, capsys, monkeypatch, measured):
    config = str(ROOT / "configs/demo/step2_supernet.py")
    estimate.main([config, "train.max_iter=9"])
    assert "step2_supernet" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        estimate.main(["train.max_iter=9"])
