"""Hashes of configs."""

from __future__ import annotations

import pytest
import tiny
import torch
from omegaconf import OmegaConf

from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.modeling import Norm

KEYS = ("model", "dataloader", "search")


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
    before = config_hash(cfg, KEYS)
    OmegaConf.update(cfg, key, value, merge=False, force_add=True)
    assert (config_hash(cfg, KEYS) != before) == counts
    assert len(before) == 64


def test_the_keys_asked_for_count_and_the_order_of_a_dict_does_not():
    cfg = tiny.classifier("a")
    assert config_hash(cfg, ("model",)) != config_hash(cfg, KEYS)
    a, b = (OmegaConf.create({"m": m}) for m in ({"x": 1, "y": 2}, {"y": 2, "x": 1}))
    assert config_hash(a, ("m",)) == config_hash(b, ("m",))


def test_classes_functions_and_objects():
    def one(value):
        cfg = OmegaConf.create({"m": {"v": value}}, flags={"allow_objects": True})
        return config_hash(cfg, ("m",))

    assert one(torch.nn.ReLU) != one(torch.nn.ReLU6)
    assert one(max) != one(min)
    assert one(Norm("BN")) == one(Norm("BN")) != one(Norm("SyncBN"))
    assert list({0, 8}) != list({8, 0})  # as sets of texts are in two processes
    assert one({0, 8}) == one({8, 0}) != one({0, 9})
