"""train_net.py --eval-only."""

from __future__ import annotations

import json

import pytest
import tiny
import torch
from detectron2.config import LazyCall as L

from detnas_d2.engine import ConfigError, DetNASCheckpointer, LazyTrainer, evaluate_checkpoint


@pytest.fixture
def cfg(tmp_path):
    """A fixed network with a checkpoint."""
    cfg = tiny.classifier(tmp_path / "out", tiny.ARCHITECTURE)
    DetNASCheckpointer(LazyTrainer.build_model(cfg), str(tmp_path)).save("model")
    cfg.train.init_checkpoint = str(tmp_path / "model.pth")
    return cfg


def test_it_writes_what_the_evaluator_gives(cfg, tmp_path):
    results = evaluate_checkpoint(cfg)
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written == {f"classification/{k}": v for k, v in results["classification"].items()}
    # by hand: the share of the images whose true class has the highest score
    model = LazyTrainer.build_model(cfg).eval()
    model.load_state_dict(torch.load(tmp_path / "model.pth", weights_only=True)["model"])
    images = [tiny.NoiseMapper(augment=False)(r) for r in tiny.records("val")]
    with torch.no_grad():
        right = [
            int(o["scores"].argmax()) == i["category_id"]
            for o, i in zip(model(images), images, strict=True)
        ]
    assert written["classification/top1"] == 100 * sum(right) / len(right)


def test_a_metric_that_is_not_finite_is_null(cfg, tmp_path, monkeypatch):
    found = {"bbox": {"AP": float("nan"), "AP50": float("inf"), "AP75": 1.5}}
    monkeypatch.setattr(tiny.OutputSum, "evaluate", lambda self: found)
    cfg.dataloader.evaluator = L(tiny.OutputSum)(dataset_name="val")
    evaluate_checkpoint(cfg)
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written == {"bbox/AP": None, "bbox/AP50": None, "bbox/AP75": 1.5}


def test_without_a_checkpoint(cfg):
    cfg.train.init_checkpoint = ""
    with pytest.raises(ConfigError, match=r"train\.init_checkpoint is empty"):
        evaluate_checkpoint(cfg)
