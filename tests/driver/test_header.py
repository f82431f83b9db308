"""The ledger's header names all that the fitness depends on."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import pytest
import tiny
import torch
from detectron2.data import DatasetCatalog

from detnas_d2.driver import search_header
from detnas_d2.driver.data_hash import dataset_hash
from detnas_d2.engine import CheckpointError

ALGORITHM = SimpleNamespace(depends_on={"initial": "3 architectures"})


@pytest.fixture
def cfg(tmp_path):
    """The tiny classifier's, whose data sets are registered for one test."""
    cfg = tiny.classifier(tmp_path / "out")
    cfg.search.update(seed=7, workers=0, threads=3)
    cfg.train.init_checkpoint = str(tmp_path / "model.pth")
    (tmp_path / "model.pth").write_bytes(b"weights")
    for name in ("train", "val"):
        DatasetCatalog.register(name, lambda name=name: tiny.records(name))
    yield cfg
    for name in ("train", "val"):
        DatasetCatalog.remove(name)


def test_what_it_names(cfg):
    header = search_header(cfg, tiny.SPACE, ALGORITHM)
    assert header["checkpoint_hash"] == hashlib.sha256(b"weights").hexdigest()
    assert header["datasets"] == {name: dataset_hash(name) for name in ("train", "val")}
    assert len(set(header["datasets"].values())) == 2
    assert header["initial"] == "3 architectures"
    assert (header["seed"], header["threads"]) == (7, 3)
    assert header["processor"] == torch.backends.cpu.get_cpu_capability() != ""
    cfg.search.address = "auto"  # whose machines may be other ones
    assert search_header(cfg, tiny.SPACE, ALGORITHM) == {**header, "processor": None}
    assert {"device", "threads", "torch", "torchvision", "detectron2"} < header.keys()


def test_a_checkpoint_that_can_not_be_read(cfg, tmp_path):
    (tmp_path / "model.pth").unlink()
    with pytest.raises(CheckpointError, match=r"train\.init_checkpoint: can't read .*model\.pth"):
        search_header(cfg, tiny.SPACE, ALGORITHM)
