"""The driver of a search with workers leaves the GPUs to them, from its first line to its last."""

from __future__ import annotations

import json

import pytest
import torch

from detnas_d2.driver import default_executor
from detnas_d2.driver.workers import make_fitness
from detnas_d2.search import InProcessExecutor


class CUDATouched(BaseException):
    """So that no `except Exception` hides it."""


class WorkerHere:
    """In RayExecutor's place: a worker in this process, on the CPU; what it is handed is real."""

    def __init__(self, make, parts, *, retries, gpus_per_worker, **others):
        assert make is make_fitness and gpus_per_worker == 1
        setup, *rest = parts
        assert setup.cfg.train.device == "cuda"
        setup.cfg.train.device = "cpu"
        self._executor = InProcessExecutor(make_fitness(setup, *rest), retries)

    def __enter__(self):
        return self._executor

    def __exit__(self, *exception):
        pass


@pytest.fixture
def two_gpus(monkeypatch):
    """As PyTorch shows a machine with two GPUs, which nothing may use."""

    def touched(*arguments):
        raise CUDATouched

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "_lazy_init", touched)
    for use in (lambda: torch.zeros(1, device="cuda"), lambda: torch.cuda.get_device_name(0)):
        with pytest.raises(CUDATouched):  # else the test would show nothing
            use()


def test_no_line_of_the_driver_initialises_cuda(workspace, supernet, two_gpus, monkeypatch):
    monkeypatch.setattr(default_executor, "RayExecutor", WorkerHere)
    asked = []
    monkeypatch.setattr(
        "detnas_d2.driver.default_executor.gpu_name", lambda d: asked.append(d) or "a GPU"
    )
    name = "output/driver"
    arguments = ["train.device=cuda", "search.fitness.amp=True", "search.executor.workers=2"]
    arguments += [f"train.output_dir={name}", "search.algorithm.generations=1"]
    status, output = workspace.call("search_net.py", "step3", *arguments)
    assert status == 0, output
    header, *lines = (workspace / f"{name}/ledger.jsonl").read_text().splitlines()
    assert json.loads(header)["header"]["processor"] == "a GPU" and asked == ["cuda"]
    assert len(lines) == 6 and all(json.loads(line)["status"] == "ok" for line in lines)
    # the end of a search too: the best's detections, and the report
    assert json.loads((workspace / f"{name}/detections.json").read_text())["images"]
    assert (workspace / f"{name}/report/index.html").is_file()
    assert "goes without" not in output and (workspace / f"{name}/config.yaml").is_file()
    assert "Command line arguments" in (workspace / f"{name}/log.txt").read_text()
