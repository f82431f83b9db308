"""The time of steps: a few real iterations and one candidate, times their number."""

from __future__ import annotations

import time

import pytest
import torch
from detectron2.config import LazyCall as L
from detectron2.config import LazyConfig
from tiny import ROOT, OutputSum, detector

from detnas_d2.driver import CandidateExecutor, estimate
from detnas_d2.driver.estimate import Predicted, predict
from detnas_d2.engine import LazyTrainer
from detnas_d2.evaluation import CandidateFitness, ShortTraining, SupernetFitness


@pytest.fixture
def cfg(tmp_path):
    """A fixed network's training, with 10 iterations."""
    cfg = detector(tmp_path, architecture=(0, 1, 2, 0, 1))
    cfg.train.max_iter = 10
    cfg.pop("search", None)
    return cfg


@pytest.fixture
def search(tmp_path):
    cfg = detector(tmp_path)
    settings = LazyConfig.load(str(ROOT / "configs/common/search.py")).search
    settings.flops_limit = None
    settings.fitness.calibration_batches = 6
    settings.algorithm.population = 5
    settings.algorithm.generations = 4
    settings.algorithm.parents = 2
    cfg.search = settings
    return cfg


def test_a_training(cfg, tmp_path, bccd_images, monkeypatch):
    """Its own iterations are timed, without the first ones, and nothing is left of them."""
    cfg.model.backbone.bottom_up.architecture = "output/not_there/best_architecture.json"
    cfg.train.init_checkpoint = "not there.pth"
    build = LazyTrainer.build_train_loader.__func__

    def slow(cls, cfg):
        for number, batch in enumerate(build(cls, cfg)):
            time.sleep(3.0 if number == 0 else 0.1)
            yield batch

    monkeypatch.setattr(LazyTrainer, "build_train_loader", classmethod(slow))
    found = predict("step4", cfg)
    assert (found.unit, found.number) == ("iteration", 10)
    assert 0.1 < found.each < 2.5
    assert not list(tmp_path.iterdir())  # the config's output folder
    assert cfg.train.init_checkpoint == "not there.pth" and cfg.train.max_iter == 10


def test_a_search(search, bccd_images, monkeypatch):
    """Of 6 batches and 3 images a third is measured; workers share the candidates."""
    seen = []
    build = SupernetFitness.build

    def slow(self, cfg, model, data):
        score = build(self, cfg, model, data)
        seen.append(len(data.calibration))

        def slowly(architecture):
            time.sleep(0.5)
            return score(architecture)

        return slowly

    monkeypatch.setattr(SupernetFitness, "build", slow)
    found = predict("step3", search)
    assert (found.unit, found.number) == ("candidate", 20)
    assert set(seen) == {2} and 3 * 0.5 < found.each < 3 * 2
    search.search.executor.workers = 4
    assert predict("step3", search).each < found.each


class OwnTraining(CandidateFitness):
    """Of 20 ms an iteration, and 300 ms for the rest."""

    weights = "training"
    threads = set()

    def build(self, cfg, model, data):
        def score(architecture):
            self.threads.add(torch.get_num_threads())
            time.sleep(0.3 + 0.02 * cfg.train.max_iter)
            return 0.0, {}

        return score


@pytest.mark.parametrize(("iterations", "seconds"), [(5, 0.4), (20, 0.7), (1000, 20.3)])
def test_a_search_that_trains(search, iterations, seconds):
    """An iteration times their number, and the rest once, in the threads of a worker."""
    search.train.max_iter = iterations
    search.search.fitness = L(OwnTraining)()
    search.search.executor.workers, search.search.executor.threads = 2, 3
    OwnTraining.threads.clear()
    found = predict("step3", search)
    assert (found.unit, found.number) == ("candidate", 20)
    assert 0.7 * seconds < 2 * found.each < 1.5 * seconds and OwnTraining.threads == {3}


def test_a_search_by_short_trainings(search, bccd_images, monkeypatch):
    """Of what the trainings take, and of what it takes to score the network."""
    build, evaluate = LazyTrainer.build_train_loader.__func__, OutputSum.evaluate

    def slow(cls, cfg):
        for batch in build(cls, cfg):
            time.sleep(0.1)
            yield batch

    monkeypatch.setattr(LazyTrainer, "build_train_loader", classmethod(slow))
    monkeypatch.setattr(OutputSum, "evaluate", lambda self: time.sleep(2) or evaluate(self))
    search.train.max_iter = 40
    search.pop("path_sampler")
    search.search.fitness = L(ShortTraining)(metric="bbox/AP", share=0.5)
    assert 20 * 0.1 + 2 < predict("step3", search).each < 20 * 2.5 + 2


class OwnFitness(CandidateFitness):
    def build(self, cfg, model, data):
        return lambda architecture: (time.sleep(0.2), {})


class OwnExecutor(CandidateExecutor):
    workers = 4


def test_a_search_with_parts_of_ones_own(search, bccd_images):
    """They have none of the settings that ours have."""
    search.search.fitness, search.search.executor = L(OwnFitness)(), L(OwnExecutor)()
    found = predict("step3", search)
    assert found.number == 20 and 0.2 / 4 <= found.each < 0.2


def test_command(capsys, monkeypatch):
    monkeypatch.setattr(
        estimate, "predict", lambda name, cfg, gpus: Predicted(name, "x", 2.0, cfg.train.max_iter)
    )
    estimate.main([str(ROOT / "configs/demo/step2_supernet.py"), "train.max_iter=1800"])
    cells = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert cells[2] == ["step2_supernet", "2", "s", "1,800", "xs", "1", "h", "00", "min"]
    assert cells[-1] == ["total", "1", "h", "00", "min"]
    with pytest.raises(SystemExit):
        estimate.main(["train.max_iter=9"])
