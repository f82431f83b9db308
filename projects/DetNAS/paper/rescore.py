"""The VOC figures of detections that the COCO evaluator has written."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import PascalVOCDetectionEvaluator
from detectron2.structures import Boxes, BoxMode, Instances


def rescore_as_voc(predictions_file: str, coco_name: str, voc_name: str) -> dict[str, float]:
    """Score one set of detections by Detectron2's VOC evaluator, without running the network.

    Args:
        predictions_file: ``coco_instances_results.json`` of a COCO evaluator, ours or Detectron2's.
        coco_name: the data set it was evaluated on.
        voc_name: the same images in VOC form; ids are the file names without suffix.

    Returns:
        ``AP``, ``AP50`` (VOC's mAP) and ``AP75`` in percent.
    """
    records = DatasetCatalog.get(coco_name)  # first: loading completes the metadata
    to_class = MetadataCatalog.get(coco_name).thing_dataset_id_to_contiguous_id
    by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for prediction in json.loads(Path(predictions_file).read_text()):
        by_image[prediction["image_id"]].append(prediction)
    evaluator = PascalVOCDetectionEvaluator(voc_name)
    evaluator.reset()
    for record in records:
        found = by_image[record["image_id"]]
        boxes = torch.tensor([p["bbox"] for p in found], dtype=torch.float64).reshape(-1, 4)
        boxes = BoxMode.convert(boxes, BoxMode.XYWH_ABS, BoxMode.XYXY_ABS).float()
        classes = torch.tensor([to_class[p["category_id"]] for p in found], dtype=torch.int64)
        instances = Instances(
            (record["height"], record["width"]),
            pred_boxes=Boxes(boxes),
            scores=torch.tensor([p["score"] for p in found]),
            pred_classes=classes,
        )
        image = {"image_id": Path(record["file_name"]).stem}
        evaluator.process([image], [{"instances": instances}])
    return {k: float(v) for k, v in evaluator.evaluate()["bbox"].items()}
