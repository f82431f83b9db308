"""Top-k accuracy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import top_k_accuracy_score

from detnas_d2.evaluation import ClassificationEvaluator


def evaluate(scores, labels, topk, chunk=3):
    evaluator = ClassificationEvaluator("set", topk=topk)
    evaluator.reset()
    for i in range(0, len(labels), chunk):
        part = slice(i, i + chunk)
        evaluator.process(
            [{"category_id": int(label)} for label in labels[part]],
            [{"scores": torch.as_tensor(s)} for s in scores[part]],
        )
    return evaluator.evaluate()["classification"]


@pytest.mark.parametrize("seed", range(3))
def test_against_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.random((50, 7)), rng.integers(0, 7, 50)
    found = evaluate(scores, labels, (1, 2, 5))
    for k in (1, 2, 5):
        expected = top_k_accuracy_score(labels, scores, k=k, labels=range(7))
        assert found[f"top{k}"] == pytest.approx(100 * expected, abs=1e-12)
        assert type(found[f"top{k}"]) is float
    assert list(found) == ["top1", "top2", "top5"]


def test_ties_count_against_the_network():
    """And a k of the number of classes or more counts every image."""
    found = evaluate([[0.25] * 4] * 8, [0, 1, 2, 3] * 2, (1, 3, 4, 5))
    assert found == {"top1": 0, "top3": 0, "top4": 100, "top5": 100}


def test_reset_forgets():
    evaluator = ClassificationEvaluator("set", topk=(1,))
    evaluator.process([{"category_id": 0}], [{"scores": torch.tensor([0.0, 1.0])}])
    evaluator.reset()
    with pytest.raises(ValueError, match="No image of 'set'"):
        evaluator.evaluate()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite(bad):
    evaluator = ClassificationEvaluator("set")
    inputs = [{"category_id": 0, "file_name": "a.png"}]
    with pytest.raises(FloatingPointError, match=r"a\.png"):
        evaluator.process(inputs, [{"scores": torch.tensor([1.0, bad])}])
