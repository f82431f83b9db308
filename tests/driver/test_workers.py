"""What a worker refuses, and where it finds modules and data."""

from __future__ import annotations

import dataclasses
import os
import sys

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from omegaconf import OmegaConf

from detnas_d2.data import DataError, register_coco, unregister_dataset
from detnas_d2.driver.workers import make_fitness, worker_environment, worker_parts
from detnas_d2.engine import CheckpointError, ConfigError
from detnas_d2.evaluation import CandidateFitness, ShortTraining

CONFIG = {
    "train": {"device": "cpu", "init_checkpoint": ""},
    "dataloader": {"evaluator": {"dataset_name": "of_workers"}},
}


@pytest.fixture
def json_file(tmp_path):
    file = tmp_path / "annotations.json"
    file.write_text('{"images": [], "annotations": [], "categories": []}')
    register_coco("of_workers", file, tmp_path)
    yield file
    unregister_dataset("of_workers")


@pytest.fixture
def setup(json_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg, fitness = OmegaConf.create(CONFIG), CandidateFitness()
    return next(worker_parts(cfg, fitness, 1, torch.nn.Linear(1, 1), None))


def test_another_version(setup):
    other = dataclasses.replace(setup, versions={**setup.versions, "torch": "1.0"})
    message = f"has torch {torch.__version__.split('+')[0]}.* instead of 1.0. Fitness depends on it"
    with pytest.raises(ConfigError, match=message):
        make_fitness(other, {}, None)


def test_the_data_set_is_the_drivers(setup, json_file, tmp_path):
    """Registered where the worker lacks it, or has another one of that name."""
    with pytest.raises(Exception, match="model"):  # that is the next that is missing here
        make_fitness(setup, {}, None)
    unregister_dataset("of_workers")
    DatasetCatalog.register("of_workers", lambda: [])
    MetadataCatalog.get("of_workers").set(json_file="elsewhere.json")
    with pytest.raises(Exception, match="model"):
        make_fitness(setup, {}, None)
    assert MetadataCatalog.get("of_workers").json_file == str(json_file)


def test_other_annotations(setup, json_file):
    json_file.write_text("{}")
    with pytest.raises(DataError, match="'of_workers' has other annotations on"):
        make_fitness(setup, {}, None)
    json_file.unlink()
    with pytest.raises(DataError, match="can't read"):
        make_fitness(setup, {}, None)


def test_trainings_read_their_data_set_too(json_file):
    cfg = OmegaConf.create({**CONFIG, "dataloader": {"evaluator": {}, "train": {"names": ["x"]}}})
    register_coco("x", json_file, json_file.parent)
    for fitness, names in ((CandidateFitness(), []), (ShortTraining("bbox/AP"), ["x"])):
        setup = next(worker_parts(cfg, fitness, 1, torch.nn.Linear(1, 1), None))
        assert list(setup.datasets) == names
    unregister_dataset("x")


@pytest.mark.parametrize(
    ("fitness", "refused"),
    [
        (ShortTraining("bbox/AP"), (CheckpointError, "start.pth' is another file on")),
        (CandidateFitness(), (Exception, "model")),  # a supernet's weights travel
    ],
)
def test_trainings_begin_with_the_same_file(fitness, refused, json_file, tmp_path):
    cfg, file = OmegaConf.create(CONFIG), tmp_path / "start.pth"
    cfg.train.init_checkpoint, cfg.dataloader.train = str(file), {}
    file.write_bytes(b"1")
    setup = next(worker_parts(cfg, fitness, 1, torch.nn.Linear(1, 1), None))
    with pytest.raises(Exception, match="model"):  # that is the next that is missing here
        make_fitness(setup, {}, None)
    file.write_bytes(b"2")
    with pytest.raises(refused[0], match=refused[1]):
        make_fitness(setup, {}, None)


def test_environment(tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DETECTRON2_DATASETS", "sets")
    monkeypatch.setattr(sys, "path", ["", "own", f"{tmp_path}/missing", *sys.path])
    environment = worker_environment(3)
    folders = environment["PYTHONPATH"].split(os.pathsep)
    assert folders[:2] == [str(tmp_path), str(own)] and folders[-1] == "${PYTHONPATH}"
    assert not any(f.startswith(sys.prefix) or "missing" in f for f in folders)
    assert environment["DETECTRON2_DATASETS"] == str(tmp_path / "sets")
    assert environment["OMP_NUM_THREADS"] == "3"
    assert "OMP_NUM_THREADS" not in worker_environment(None)
