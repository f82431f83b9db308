"""What the executor's constructor and check refuse, and what of it counts in a ledger's header."""

from __future__ import annotations

import sys

import pytest
import torch
from omegaconf import OmegaConf

from detnas_d2.driver import CandidateExecutor, DefaultExecutor
from detnas_d2.engine import ConfigError
from detnas_d2.engine.setup import set_up_torch
from detnas_d2.evaluation.cpu import with_threads

CPU, GPU = (OmegaConf.create({"train": {"device": device}}) for device in ("cpu", "cuda"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": True}, "search.executor.workers is True"),
        ({"retries": 0.5}, "search.executor.retries is 0.5"),
        ({"threads": 0}, "search.executor.threads is 0; expected a whole number from 1, or null"),
        ({"workers": 1, "time_limit": 0}, "is 0; expected a finite number above 0, in seconds"),
        ({"time_limit": 60}, "search.executor.time_limit needs workers"),
        ({"address": "auto"}, "search.executor.address needs workers"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        DefaultExecutor(**settings)


def test_workers_without_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    DefaultExecutor()
    with pytest.raises(ConfigError, match=r"needs Ray: pip install 'detnas-d2\[ray\]'"):
        DefaultExecutor(workers=1)


def test_workers_on_gpus(monkeypatch):
    """The driver counts them, and does not look further, which would initialise CUDA."""
    pytest.importorskip("ray")
    monkeypatch.setattr(torch.cuda, "is_available", None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    DefaultExecutor(2).check(GPU)
    with pytest.raises(ConfigError, match="workers is 3, each with a GPU, but PyTorch sees 2"):
        DefaultExecutor(3).check(GPU)
    DefaultExecutor(3, address="auto").check(GPU)  # those of other machines
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match="sees no GPU here"):
        DefaultExecutor(1).check(GPU)


def test_what_fitness_depends_on():
    pytest.importorskip("ray")
    with with_threads(2):
        assert DefaultExecutor().threads(CPU) == 2
    assert DefaultExecutor(1).threads(CPU) == 1
    assert [DefaultExecutor(n, threads=3).threads(CPU) for n in (0, 1)] == [3, 3]
    assert DefaultExecutor(threads=3).threads(GPU) is None
    capability = torch.backends.cpu.get_cpu_capability()
    assert DefaultExecutor(1).depends_on(CPU) == {"processor": capability, "threads": 1}
    cluster = DefaultExecutor(1, address="auto")  # whose machines may be other ones
    assert cluster.depends_on(CPU) == {"processor": None, "threads": 1}
    own = CandidateExecutor()  # one of the user's own; and what is set besides
    own_cfg = OmegaConf.create({"train": {"device": "cpu", "cudnn_benchmark": True}})
    with with_threads(2):
        expected = {"processor": capability, "threads": 2, "train.cudnn_benchmark": True}
        assert own.depends_on(own_cfg) == expected
    none = OmegaConf.create({"train": {"device": "cuda:77"}})
    with pytest.raises(ConfigError, match="'cuda:77', which PyTorch can't use"):
        DefaultExecutor(1).depends_on(none)


def test_switches_of_pytorch():
    """The same in the driver and in workers: of a GPU only, whatever Detectron2's version is."""
    for device, now in (("cpu", "highest"), ("cuda", "high"), ("cuda", "highest")):
        train = {"device": device, "float32_precision": "high" if device == "cpu" else now}
        set_up_torch(OmegaConf.create({"train": train}))
        assert torch.get_float32_matmul_precision() == now
        assert not torch.backends.cudnn.benchmark
