"""What the best network of a search finds on some validation images."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.config import instantiate
from detectron2.data import MetadataCatalog
from detectron2.structures import BoxMode
from omegaconf import DictConfig
from torch import nn

from ..data.seeding import seeded
from ..engine.preflight import dataset_names
from ..evaluation import CandidateFitness, SupernetFitness, calibrated
from ..evaluation.cpu import with_threads
from ..evaluation.scoring import set_path
from ..files import write_json
from ..modeling import folded
from ..space import Architecture
from .default_executor import CandidateExecutor

DETECTIONS_FILE = "detections.json"
IMAGES = 6
BATCHES = 16
"""Of ``dataloader.calibration``, at most, for the statistics. A search with more of them scored the
network with statistics of more images; boxes may then differ a little from those of its fitness."""
LEAST_SCORE = 0.3


def write_detections(
    cfg: DictConfig,
    fitness: CandidateFitness,
    executor: CandidateExecutor,
    model: nn.Module,
    best: Architecture,
) -> str | None:
    """Run the best network on IMAGES validation images and write ``detections.json``.

    The images are spread evenly over those of ``dataloader.test`` that have boxes. The file holds
    dataset, class names and statistics, and of each image its file, size in pixels, the
    ``ground_truth`` and the ``detections`` above LEAST_SCORE: boxes (x, y, width, height) in
    pixels, class (its place among the names) and score.

    Args:
        fitness, executor: of the search, for their settings.
        model: with the weights of the search, on the device where it runs; that of a search with
            workers is on the CPU, so that this process never uses a GPU.

    Returns:
        the file; None where there are no boxes to show, as in classification, and where the
        weights are not a supernet's: those of the best are gone, or there were none.
    """
    if fitness.weights != "supernet":
        return None
    records = _spread([r for r in instantiate(cfg.dataloader.test.dataset) if _boxes_of(r)])
    if not records:
        return None
    if not isinstance(fitness, SupernetFitness):
        fitness = SupernetFitness(fitness.metric, BATCHES)
    fitness.lay_out(model)  # as for the search: it rounds alike
    mapper = instantiate(cfg.dataloader.test.mapper)
    calibration = cfg.dataloader.calibration
    wanted = min(fitness.calibration_batches, BATCHES)
    batches = list(itertools.islice(iter(instantiate(calibration)), wanted))
    with (
        with_threads(executor.threads(cfg)),
        set_path(model, best, fitness.amp),
        calibrated(model, batches, calibration.seed),
        folded(model),
        seeded(calibration.seed),
        torch.no_grad(),
    ):
        outputs = [model([mapper(record)])[0] for record in records]
    (name, *_) = dataset_names(cfg.dataloader.test)
    content = {
        **best.to_json(),
        "dataset": name,
        "classes": list(MetadataCatalog.get(name).get("thing_classes", [])),
        "calibration_batches": [len(batches), fitness.calibration_batches],
        "least_score": LEAST_SCORE,
        "images": [_image(*pair) for pair in zip(records, outputs, strict=True)],
    }
    path = os.path.join(cfg.train.output_dir, DETECTIONS_FILE)
    write_json(path, content)
    return path


def _boxes_of(record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return record.get("annotations") or ()


def _spread(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    count = min(IMAGES, len(records))
    return [records[i] for i in np.linspace(0, len(records) - 1, count).round().astype(int)]


def _image(record: Mapping[str, Any], output: Mapping[str, Any]) -> dict[str, Any]:
    found = output["instances"].to("cpu")
    found = found[found.scores >= LEAST_SCORE]
    boxes = _xywh(found.pred_boxes.tensor, BoxMode.XYXY_ABS)
    figures = zip(boxes, found.pred_classes.tolist(), found.scores.tolist(), strict=True)
    truth = [(a, torch.tensor([a["bbox"]])) for a in _boxes_of(record)]
    height, width = found.image_size
    return {
        "file": str(Path(record["file_name"]).absolute()),
        "height": height,
        "width": width,
        "ground_truth": [
            {"bbox": _xywh(box, a["bbox_mode"])[0], "class": int(a["category_id"])}
            for a, box in truth
        ],
        "detections": [
            {"bbox": box, "class": category, "score": round(score, 4)}
            for box, category, score in figures
        ],
    }


def _xywh(boxes: torch.Tensor, mode: BoxMode) -> list[list[float]]:
    return BoxMode.convert(boxes.double(), mode, BoxMode.XYWH_ABS).round(decimals=2).tolist()
