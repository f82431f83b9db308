"""A run that cannot work is refused with every reason at once, before anything is built."""

from __future__ import annotations

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


def test_the_device(cfg, monkeypatch):
    cfg.train.device = "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "train.device=cpu" in refusal(cfg)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_run(cfg, "train", Processes(2))
    cfg.dataloader.train.total_batch_size = 8
    assert "--num-gpus is 4, but PyTorch sees 2" in refusal(cfg, processes=Processes(4))


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
    parts = ("missing_set", "cuda", "batch_size", "got 1 choices", "output_dir", "missing.pth")
    assert [part for part in parts if part not in "\n".join(lines)] == []
