"""The ledger's header names all that the fitness depends on."""

from __future__ import annotations

import copy
import hashlib
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import tiny
from detectron2.config import LazyConfig
from detectron2.data import DatasetCatalog
from omegaconf import OmegaConf

from detnas_d2.driver import search_header, search_ledger
from detnas_d2.engine import CheckpointError
from detnas_d2.engine.fingerprint import config_hash, dataset_hash
from detnas_d2.evaluation import CandidateFitness, ShortTraining
from detnas_d2.search import Evaluation, LedgerMismatch
from detnas_d2.space import Architecture

WEIGHTS = bytes(range(256)) * 9000  # more than one read
ALGORITHM = SimpleNamespace(depends_on={"initial": "3 architectures"})
FITNESS = CandidateFitness()


@pytest.fixture
def cfg(tmp_path):
    """The tiny classifier's, whose data sets are registered for one test."""
    cfg = tiny.classifier(tmp_path / "out")
    cfg.search.seed = 7
    cfg.train.init_checkpoint = str(tmp_path / "model.pth")
    (tmp_path / "model.pth").write_bytes(WEIGHTS)
    for name in ("train", "val"):
        DatasetCatalog.register(name, lambda name=name: tiny.records(name))
    yield cfg
    for name in ("train", "val"):
        DatasetCatalog.remove(name)


def test_what_it_names(cfg):
    header = search_header(cfg, FITNESS, tiny.SPACE, ALGORITHM, {"threads": 3})
    assert header["checkpoint_hash"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert header["datasets"] == {name: dataset_hash(name) for name in ("train", "val")}
    assert len(set(header["datasets"].values())) == 2
    assert header["initial"] == "3 architectures"
    assert (header["seed"], header["threads"]) == (7, 3)
    assert {"device", "threads", "torch", "torchvision", "detectron2"} < header.keys()


class Recorded(CandidateFitness):
    weights, loaders, config_keys = "none", (), ("model", "search")


@pytest.mark.parametrize(
    ("fitness", "names", "has_weights"),
    [
        (FITNESS, ["of_calibration", "val"], True),  # as before there were others
        (ShortTraining("classification/top1"), ["train", "val"], True),
        (Recorded(), [], False),
    ],
)
def test_what_the_fitness_needs(cfg, fitness, names, has_weights):
    """Its data sets, whatever else the config has, and weights only where there are some."""
    cfg.dataloader.calibration.dataset.names = "of_calibration"
    DatasetCatalog.register("of_calibration", lambda: tiny.records("train", 5))
    try:
        header = search_header(cfg, fitness, tiny.SPACE, ALGORITHM, {})
    finally:
        DatasetCatalog.remove("of_calibration")
    assert list(header["datasets"]) == names
    assert (header["checkpoint_hash"] != "none") == has_weights
    whole = config_hash(cfg, ("model", "dataloader", "search"))
    assert (header["config_hash"] == whole) == (fitness is FITNESS)


def test_calibration_is_no_matter_of_short_trainings(cfg):
    begin(cfg, fitness := ShortTraining("classification/top1"))
    cfg.dataloader.calibration.total_batch_size = 7
    with opened(cfg, fitness, resume=True) as ledger:
        assert len(ledger) == 1


def test_a_checkpoint_that_can_not_be_read(cfg, tmp_path):
    (tmp_path / "model.pth").unlink()
    with pytest.raises(CheckpointError, match=r"train\.init_checkpoint: can't read .*model\.pth"):
        search_header(cfg, FITNESS, tiny.SPACE, ALGORITHM, {"threads": 3})


def opened(cfg, fitness=FITNESS, **kwargs):
    header = search_header(cfg, fitness, tiny.SPACE, ALGORITHM, {"threads": 3})
    return search_ledger(cfg, fitness, header, tiny.SPACE, **kwargs)


def begin(cfg, fitness=FITNESS):
    """A search's folder, with one candidate."""
    with opened(cfg, fitness, resume=False) as ledger:
        path = Architecture(tiny.SPACE, tiny.ARCHITECTURE)
        ledger.append(Evaluation(path, "ok", 0.5, {}, 10, 10, 0, 1.0))
        LazyConfig.save(cfg, f"{cfg.train.output_dir}/config.yaml")


@pytest.fixture
def begun(cfg):
    begin(cfg)
    return cfg


def test_another_config_is_told_by_its_keys(begun):
    begun.search.fitness.batch_size = 5
    begun.search.fitness.new_key = None
    begun.search.seed = 8
    begun.search.executor = {"threads": 3}  # counts elsewhere
    with pytest.raises(LedgerMismatch) as caught:
        opened(begun, resume=True).__enter__()
    differing = {
        "seed": (7, 8),
        "search.fitness.batch_size": (2, 5),
        "search.fitness.new_key": ("(no such key)", None),
    }
    assert caught.value.fields == differing
    assert "search.fitness.batch_size: 2 in the ledger, 5 now" in str(caught.value)
    begun.search.update({f"key{i}": i for i in range(7)})
    with pytest.raises(LedgerMismatch, match=r"config_hash \(3 more keys\)") as caught:
        opened(begun, resume=True).__enter__()
    assert len(caught.value.fields) == 8


@pytest.mark.parametrize(
    ("key", "then", "now"),
    [
        ("optimizer.lr", 0.05, 0.1),
        ("lr_multiplier.end_value", 0.0, 0.1),
        ("train.max_iter", 9, 10),
        ("train.seed", 3, 4),
        ("train.amp.enabled", False, True),
        ("train.init_backbone_only", None, True),
    ],
)
def test_by_what_candidates_are_trained(cfg, tmp_path, key, then, now):
    """It belongs to a search by short trainings, and to no other."""
    cfg.dataloader.train.seed = cfg.dataloader.calibration.seed  # else train.seed were any's
    for fitness in (FITNESS, ShortTraining("classification/top1")):
        cfg.train.output_dir = str(tmp_path / type(fitness).__name__)
        begin(cfg, fitness)
        other = copy.deepcopy(cfg)
        OmegaConf.update(other, key, now, force_add=True)
        refused = pytest.raises(LedgerMismatch) if fitness.weights == "training" else nullcontext()
        with refused as caught, opened(other, fitness, resume=True):
            pass
    assert caught.value.fields == {key: (then, now)}


def test_from_scratch_is_another_search_than_from_weights(cfg):
    """Null in the header would agree with any checkpoint."""
    weights, cfg.train.init_checkpoint = cfg.train.init_checkpoint, ""
    begin(cfg)
    cfg.train.init_checkpoint = weights
    with pytest.raises(LedgerMismatch) as caught:
        opened(cfg, resume=True).__enter__()
    assert caught.value.fields == {"checkpoint_hash": ("none", hashlib.sha256(WEIGHTS).hexdigest())}


def test_a_config_that_is_not_the_ledgers_tells_nothing(begun, tmp_path):
    file = tmp_path / "out/config.yaml"
    begun.search.fitness.batch_size = 5
    for content in (file.read_text().replace("top1", "top2"), "model: [", "train: {}"):
        file.write_text(content)
        with pytest.raises(LedgerMismatch) as caught:
            opened(begun, resume=True).__enter__()
        assert list(caught.value.fields) == ["config_hash"]
        assert "goes on with that version; its best can begin a new one" in str(caught.value)


def test_ctrl_c_says_how_to_go_on(begun):
    with (
        pytest.raises(KeyboardInterrupt, match=r"in .*ledger\.jsonl: 1\. .*--resume"),
        opened(begun, resume=True),
    ):
        raise KeyboardInterrupt
