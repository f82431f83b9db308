"""A run that cannot work is refused with every reason at once, before anything is built."""

from __future__ import annotations

import io
import re
import tempfile

import pytest
import tiny
import torch

from detnas_d2.engine import ConfigError
from detnas_d2.engine.machines import Processes
from detnas_d2.engine.preflight import check_run


@pytest.fixture
def cfg(tmp_path, bccd_images):
    return tiny.detector(tmp_path / "out", tiny.ARCHITECTURE)


@pytest.fixture(autouse=True)
def _nothing_is_built(monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "__init__", lambda *a: pytest.fail("builds a module"))


def refusal(cfg, kind="train", **kwargs):
    with pytest.raises(ConfigError) as info:
        check_run(cfg, kind, **kwargs)
    return str(info.value)


def test_a_run_that_can_start(cfg, tmp_path):
    check_run(cfg, "train")
    check_run(cfg, "train", Processes(2))
    check_run(cfg, "train", Processes(0))  # one, as launch has it
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", ["model", "dataloader", "train"])
def test_what_is_no_training(cfg, key):
    del cfg[key]
    assert key in refusal(cfg).partition("; it is")[0]


@pytest.mark.parametrize(
    ("key", "lacks"),
    [("seed", "seed"), ("amp", "amp.enabled"), ("checkpointer", "checkpointer.period")],
)
def test_settings_that_are_missing_or_null(cfg, key, lacks):
    cfg.train[key] = None
    message = refusal(cfg)
    assert f"lacks train.{lacks};" in message and "configs/common/train.py" in message
    del cfg.train[key]
    assert refusal(cfg) == message


def test_no_checkpoint_to_start_from_is_none(cfg):
    cfg.train.init_checkpoint = None
    check_run(cfg, "train")


def test_only_the_data_of_the_run_is_looked_for(cfg, tmp_path):
    torch.save({}, tmp_path / "model.pth")
    cfg.train.init_checkpoint = str(tmp_path / "model.pth")
    cfg.dataloader.train.dataset.names = "nothing_of_the_kind"
    cfg.dataloader.train.total_batch_size = 3
    check_run(cfg, "test", Processes(2))


def test_data_sets_are_found_wherever_they_are_named(cfg):
    cfg.dataloader.test.dataset.names = ["bccd_val", "not_here"]
    cfg.dataloader.evaluator = {"dataset_name": "nor_here"}
    message = refusal(cfg)
    assert "not_here" in message and "nor_here" in message and "bccd_val" not in message


def test_the_device(cfg, monkeypatch):
    cfg.train.device = "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "train.device=cpu" in refusal(cfg)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_run(cfg, "train", Processes(2))
    cfg.dataloader.train.total_batch_size = 8
    assert "--num-gpus is 4, but PyTorch sees 2" in refusal(cfg, processes=Processes(4))


def test_the_batch(cfg):
    message = refusal(cfg, processes=Processes(3))
    assert "total_batch_size is 2, which 3 processes can't share" in message
    assert "4 processes" in refusal(cfg, processes=Processes(2, 2))


def test_the_checkpoint(cfg, tmp_path):
    cfg.train.init_checkpoint = str(tmp_path / "before" / "model_final.pth")
    message = refusal(cfg)
    assert "before/model_final.pth" in message and "the step before" in message
    assert refusal(cfg, resume=True)  # nothing to resume from
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "last_checkpoint").write_text("model_0000005.pth")
    check_run(cfg, "train", resume=True)
    assert refusal(cfg, resume=False)
    (tmp_path / "out" / "last_checkpoint").unlink()
    cfg.train.init_checkpoint = "https://example.org/model.pth"
    check_run(cfg, "train")


def test_the_space(cfg):
    cfg.model.backbone.bottom_up.space = "400m"
    assert "no space '400m'" in refusal(cfg)


def test_a_full_disk(cfg, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: io.FileIO("/dev/full", "w"))
    cfg.train.output_dir = str(tmp_path / "new")
    assert re.search(r"train\.output_dir: .*no room for 1 MiB \(No space left", refusal(cfg))
    assert not list(tmp_path.glob("new"))


def test_all_at_once(cfg, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "file").write_text("")
    cfg.train.device = "cuda"
    cfg.train.output_dir = str(tmp_path / "file")
    cfg.train.init_checkpoint = "missing.pth"
    cfg.dataloader.train.dataset.names = "missing_set"
    cfg.dataloader.train.total_batch_size = 3
    cfg.model.backbone.bottom_up.architecture = [1]
    lines = refusal(cfg, processes=Processes(2)).splitlines()
    numbers = [line.strip()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert numbers == list("123456")
    message = "\n".join(lines)
    for part in (
        "missing_set",
        "cuda",
        "total_batch_size",
        "got 1 choices",
        "output_dir",
        "missing.pth",
    ):
        assert part in message, part
