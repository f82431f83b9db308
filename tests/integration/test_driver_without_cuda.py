"""The driver of a search with workers leaves the GPUs to them, from its first line to its last."""

from __future__ import annotations

import contextlib
import json

import pytest
import torch

from detnas_d2.data import unregister_dataset
from detnas_d2.driver import default_executor
from detnas_d2.driver.workers import make_fitness
from detnas_d2.search import InProcessExecutor


class CUDATouched(BaseException):
    """So that no `except Exception` hides it."""


@contextlib.contextmanager
def worker_here(make, parts, *, retries, gpus_per_worker, **others):
    """In RayExecutor's place: a worker in this process, on the CPU; what it is handed is real."""
    assert make is make_fitness and gpus_per_worker == 1
    setup, *rest = parts
    assert setup.cfg.train.device == "cuda"
    setup.cfg.train.device = "cpu"
    yield InProcessExecutor(make_fitness(setup, *rest), retries)


def test_no_line_of_the_driver_initialises_cuda(workspace, supernet, monkeypatch):
    """As PyTorch shows a machine with two GPUs, which nothing may use."""

    def touched(*arguments):
        raise CUDATouched

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "_lazy_init", touched)
    with pytest.raises(CUDATouched):  # else the test would show nothing
        torch.zeros(1, device="cuda")
    monkeypatch.setattr(default_executor, "RayExecutor", worker_here)
    monkeypatch.setattr(default_executor, "gpu_name", lambda device: f"a GPU, {device}")
    folder = workspace / "output/driver"
    status, output = workspace.call(
        *("search_net.py", "step3", "train.output_dir=output/driver", "train.device=cuda"),
        *("search.fitness.amp=True", "search.executor.workers=2"),
        "search.algorithm.generations=1",
    )
    unregister_dataset("digits_val")  # a worker's own, which ends with its process
    assert status == 0, output
    header = json.loads((folder / "ledger.jsonl").read_text().splitlines()[0])["header"]
    assert header["processor"] == "a GPU, cuda"
    assert [line["status"] for line in workspace.evaluations(folder)] == ["ok"] * 6
    # the end of a search too: the best's detections, and the report
    assert json.loads((folder / "detections.json").read_text())["images"]
    assert (folder / "report/index.html").is_file() and "goes without" not in output
