"""Hashes of configs and files."""

from __future__ import annotations

import hashlib
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch
from omegaconf import OmegaConf

from detnas_d2.engine.fingerprint import ABSENT, config_differences, config_hash, file_hash
from detnas_d2.modeling import Norm

KEYS = ("model", "dataloader", "search")
PRINT_HASHES = """
import tiny
from detnas_d2.engine.fingerprint import config_hash
from tests_values import odd
print(config_hash(tiny.classifier("a"), ("model", "dataloader", "search")))
print(config_hash(odd(), ("model",)))
"""
ODD = """
from omegaconf import OmegaConf
import functools, torch
from detnas_d2.modeling import Norm
class Thing: pass
def odd():
    return OmegaConf.create(
        {"model": {"a": torch.nn.ReLU, "b": Norm("BN"), "c": Thing(), "d": {"z", "y", "x", "w"},
                   "e": functools.partial(max, 1)}}, flags={"allow_objects": True})
"""


def hashed(cfg, keys=KEYS):
    return config_hash(cfg, keys)


@pytest.mark.parametrize(
    ("key", "value", "counts"),
    [
        ("dataloader.test.num_workers", 7, False),
        ("dataloader.evaluator.output_dir", "elsewhere", False),
        ("search.retrain", ["a.py"], False),
        ("search.fitness.cache_memory", 2, False),
        ("search.executor", {"workers": 2, "threads": 1}, False),  # counts elsewhere in a header
        ("train.max_iter", 77, False),  # of a key that is not asked for
        ("model.num_classes", 4, True),
        ("model.backbone.norm.momentum", 0.1 + 1e-12, True),
        ("model.backbone.space.stages.0.channels", 10, True),
        ("model._target_", "torch.nn.ReLU", True),
        ("dataloader.test.dataset.names", "test", True),
        ("search.fitness.metric", "classification/top2", True),
        ("search.new", None, True),
        ("model.workers", 2, True),  # names that have no effect elsewhere
        ("dataloader.train.threads", 2, True),
        ("train.seed", 9, True),  # dataloader.train.seed points to it
        ("dataloader.test.batch_size", "5", True),
        ("dataloader.evaluator.topk", [2, 1], True),
    ],
)
def test_what_changes_a_result_changes_the_hash(key, value, counts):
    cfg = tiny.classifier("a")
    before = hashed(cfg)
    OmegaConf.update(cfg, key, value, merge=False, force_add=True)
    assert (hashed(cfg) != before) == counts
    assert len(before) == 64


def test_the_keys_asked_for_count_and_the_order_of_a_dict_does_not():
    cfg = tiny.classifier("a")
    assert hashed(cfg, ("model",)) != hashed(cfg)
    a, b = (OmegaConf.create({"m": m}) for m in ({"x": 1, "y": 2}, {"y": 2, "x": 1}))
    assert hashed(a, ("m",)) == hashed(b, ("m",))


def test_it_is_the_same_in_every_process(tmp_path, monkeypatch):
    (tmp_path / "tests_values.py").write_text(ODD)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PRINT_HASHES],
        env={
            **os.environ,
            "PYTHONPATH": f"{tiny.ROOT}:{Path(tiny.__file__).parent}:{tmp_path}",
            "PYTHONHASHSEED": "1",  # this process has another
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.syspath_prepend(str(tmp_path))
    odd = importlib.import_module("tests_values").odd
    assert done.stdout.split() == [hashed(tiny.classifier("b")), hashed(odd(), ("model",))]


def test_classes_functions_and_objects():
    def one(value):
        return hashed(OmegaConf.create({"m": {"v": value}}, flags={"allow_objects": True}), ("m",))

    assert one(torch.nn.ReLU) != one(torch.nn.ReLU6)
    assert one(max) != one(min)
    assert one(Norm("BN")) == one(Norm("BN")) != one(Norm("SyncBN"))
    assert one({1, 2}) == one({2, 1}) != one({1, 3})


def test_differences_are_named_by_key():
    former = {"limit": 3e8, "one": 1, "sizes": [1, 2], "steps": [{"a": 1}, {"a": 2}], "gone": None}
    now = {"limit": 2e8, "one": 1.0, "sizes": [1], "steps": [{"a": 1}, {"a": 3}], "new": {"b": 1}}
    both = {"same": "x", "_target_": "torch.nn.ReLU"}
    configs = [
        OmegaConf.create({"search": {**both, **node, "executor": i}, "train": {"seed": i}})
        for i, node in enumerate((former, now))
    ]
    assert config_differences(*configs, ("search",)) == {
        "search.limit": (3e8, 2e8),
        "search.one": (1, 1.0),
        "search.sizes": ([1, 2], [1]),
        "search.steps.1.a": (2, 3),
        "search.gone": (None, ABSENT),
        "search.new.b": (ABSENT, 1),
    }
    assert config_differences(configs[0], configs[0], ("search",)) == {}


def test_a_files_hash(tmp_path):
    data = bytes(range(256)) * 9000  # more than one read
    (tmp_path / "file").write_bytes(data)
    assert file_hash(tmp_path / "file") == hashlib.sha256(data).hexdigest()
