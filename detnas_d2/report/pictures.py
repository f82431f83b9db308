"""Pictures of detections on real images."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.detection_utils import read_image

from ..data.drawing import draw_boxes, grid, write_picture

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
    numbers = metadata.thing_dataset_id_to_contiguous_id
    drawn = []
    for record in records[:images]:
        image = read_image(record["file_name"], format="RGB")
        found = by_image[record["image_id"]]
        boxes = np.array([p["bbox"] for p in found], dtype=np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        classes = [numbers[p["category_id"]] for p in found]
        scores = [p["score"] for p in found]
        drawn.append(
            draw_boxes(image, boxes, classes, scores, metadata.thing_classes.__getitem__, SCALE)
        )
    write_picture(Path(picture_file), grid(drawn, columns=3))
