"""Pictures of detections on real images."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from typing import Any

import cv2
import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.detection_utils import read_image
from detectron2.structures import Boxes, Instances
from detectron2.utils.visualizer import Visualizer

SCALE = 2.0  # small images are drawn larger, so that labels can be read


def draw_detections(
    dataset_name: str,
    predictions_file: str,
    picture_file: str,
    *,
    images: int = 6,
    threshold: float = 0.5,
) -> None:
    """Draw the detections on the first images of a data set, side by side, as one PNG.

    Args:
        dataset_name: registered, in COCO form.
        predictions_file: ``coco_instances_results.json`` of a COCO evaluator: boxes
            (x, y, width, height) in pixels of the original image.
        picture_file: where to write.
        images: how many, in rows of three.
        threshold: least score of a box that is drawn.
    """
    with open(predictions_file) as f:
        by_image = defaultdict(list)
        for prediction in json.load(f):
            if prediction["score"] >= threshold:
                by_image[prediction["image_id"]].append(prediction)
    records = DatasetCatalog.get(dataset_name)  # first: loading completes the metadata
    metadata = MetadataCatalog.get(dataset_name)
    drawn = []
    for record in records[:images]:
        image = read_image(record["file_name"], format="RGB")
        found = _instances(by_image[record["image_id"]], image.shape[:2], metadata)
        picture = Visualizer(image, metadata, scale=SCALE).draw_instance_predictions(found)
        drawn.append(picture.get_image())
    folder = os.path.dirname(picture_file)
    os.makedirs(folder or ".", exist_ok=True)
    cv2.imwrite(picture_file, cv2.cvtColor(_grid(drawn), cv2.COLOR_RGB2BGR))


def _instances(
    predictions: list[dict[str, Any]], size: tuple[int, int], metadata: Any
) -> Instances:
    ids = metadata.get("thing_dataset_id_to_contiguous_id")
    boxes = np.array([p["bbox"] for p in predictions], dtype=np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    instances = Instances(size)
    instances.pred_boxes = Boxes(boxes)
    instances.scores = np.array([p["score"] for p in predictions])
    instances.pred_classes = np.array([ids[p["category_id"]] for p in predictions], dtype=int)
    return instances


def _grid(pictures: list[np.ndarray], columns: int = 3) -> np.ndarray:
    height = max(p.shape[0] for p in pictures)
    width = max(p.shape[1] for p in pictures)
    rows = -(-len(pictures) // columns)
    grid = np.full((rows * height, min(columns, len(pictures)) * width, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * height, i % columns * width
        grid[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return grid
