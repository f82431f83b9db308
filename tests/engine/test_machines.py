"""What a GPU is called, without using it here."""

from __future__ import annotations

import pytest

from detnas_d2.engine import ConfigError
from detnas_d2.engine.machines import gpu_name


def test_another_process_is_asked(tmp_path, monkeypatch):
    fake = "class cuda:\n    get_device_name = staticmethod(lambda device: f'GPU of {device}')\n"
    (tmp_path / "torch.py").write_text(fake)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert gpu_name("cuda:1") == "GPU of cuda:1"
    (tmp_path / "torch.py").write_text("raise RuntimeError('the driver is too old')\n")
    with pytest.raises(ConfigError, match="'cuda', .* can't use .*driver is too old.*device=cpu"):
        gpu_name("cuda")


def test_pytorch_knows_no_such_gpu():
    with pytest.raises(ConfigError, match="'cuda:77', which PyTorch can't use"):
        gpu_name("cuda:77")
