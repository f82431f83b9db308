"""A search's metric, looked for among what the evaluator gives before there is any candidate."""

from __future__ import annotations

import copy
import logging
import math
import tempfile
from collections.abc import Mapping
from typing import Any

import torch
from detectron2.config import instantiate
from detectron2.evaluation import COCOEvaluator
from detectron2.evaluation.testing import flatten_results_dict
from detectron2.structures import Boxes, BoxMode, Instances
from omegaconf import DictConfig, OmegaConf

from ..engine import ConfigError, LazyTrainer
from ..errors import DetNASError
from ..rules import Rule, did_you_mean
from .fast_coco import FastCOCOEvaluator
from .inference import quiet

logger = logging.getLogger(__name__)

METRIC = Rule("the name of a metric, such as bbox/AP", lambda v: isinstance(v, str) and v != "")


def check_metric(cfg: DictConfig, metric: str) -> None:
    """Refuse a `metric` that ``dataloader.evaluator`` does not give, or that no candidate
    can have a number for.

    The evaluator itself is asked: it is given what a network would give that makes no mistake, the
    boxes or the class of each record of ``dataloader.test``. No image is read, nothing is written.
    What can't be known so is left to the first candidate: figures of masks and keypoints, and an
    evaluator of one's own that needs more than records, boxes and scores.

    Raises:
        ConfigError: naming the nearest metrics that there are, or what the data set lacks.
        DataError: as the data set and the evaluator.
    """
    name = OmegaConf.select(cfg, "dataloader.test.dataset.names")
    if name is None:
        return
    records = instantiate(cfg.dataloader.test.dataset)
    with tempfile.TemporaryDirectory(prefix="detnas_metric_") as folder:
        cfg = copy.deepcopy(cfg)
        if "output_dir" in cfg.dataloader.evaluator:
            cfg.dataloader.evaluator.output_dir = folder
        evaluator = LazyTrainer.build_evaluator(cfg, name)
        try:
            with quiet():
                evaluator.reset()
                for record in records:
                    evaluator.process([record], [_perfect(record)])
                metrics = flatten_results_dict(dict(evaluator.evaluate() or {}))
        except DetNASError:
            raise
        except Exception:
            logger.debug("search.fitness.metric is left to the first candidate:", exc_info=True)
            return
    of_boxes = isinstance(evaluator, FastCOCOEvaluator)
    of_coco = of_boxes or isinstance(evaluator, COCOEvaluator)
    of_masks = metric.startswith(("segm/", "keypoints/")) and not of_boxes
    if of_masks or not (metrics or of_coco):  # a network's outputs may have what boxes have not
        return
    if not metrics:
        raise ConfigError(
            f"The evaluator gives no metrics for {name!r}, so there is no {metric!r} to search "
            "for: have its images annotations?"
        )
    require_metric(metric, metrics)
    if of_coco and math.isnan(metrics[metric]):
        others = [k for k, v in sorted(metrics.items()) if not math.isnan(v)]
        advice = f"choose one of {', '.join(others)}" if others else "annotate its images"
        raise ConfigError(
            f"search.fitness.metric is {metric!r}, but {name!r} has no object that counts for it; "
            f"{advice}."
        )


def require_metric(metric: str, metrics: Mapping[str, float]) -> None:
    """
    Raises:
        ConfigError: `metric` is not among what the evaluator gives.
    """
    if metric not in metrics:
        advice = did_you_mean(metric, metrics) or f" It gives {', '.join(sorted(metrics))}."
        raise ConfigError(
            f"search.fitness.metric is {metric!r}, which the evaluator does not give.{advice}"
        )


def as_score(results: Mapping[str, Any], metric: str) -> tuple[float, dict[str, float]]:
    """Fitness and every figure by its flattened name, unrounded, out of an evaluator's results.

    Raises:
        ConfigError: `metric` is not among them; that is no candidate's fault.
        RuntimeError: there are none, although there are detections.
    """
    metrics = {k: float(v) for k, v in flatten_results_dict(dict(results)).items()}
    if not metrics:
        raise RuntimeError("The evaluator gives no metrics for what the model gives.")
    require_metric(metric, metrics)
    return metrics[metric], metrics


def _perfect(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a classifier or a detector would give that makes no mistake."""
    if "category_id" in record:
        scores = torch.zeros(record["category_id"] + 1)
        scores[-1] = 1.0
        return {"scores": scores}
    found = record.get("annotations") or ()
    boxes = [BoxMode.convert(list(a["bbox"]), a["bbox_mode"], BoxMode.XYXY_ABS) for a in found]
    instances = Instances((record["height"], record["width"]))
    instances.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))
    instances.scores = torch.ones(len(boxes))
    instances.pred_classes = torch.tensor([a["category_id"] for a in found], dtype=torch.int64)
    return {"instances": instances}
