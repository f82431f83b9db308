"""A classification set out of a detection set: its own boxes cut out as images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from detectron2.data import detection_utils
from detectron2.structures import BoxMode
from PIL import Image

from detnas_d2.data.atomic import write_folder_once
from detnas_d2.data.errors import DataError
from detnas_d2.data.seeding import derive_seed

BACKGROUND = "background"
SIZE = 64  # side of the crops, pixels
_MARGIN = 0.2  # on each side, in shares of the box's longer side
_BACKGROUNDS = 2  # of an image
_FORMAT = 1  # raise when the same boxes give other files
_CROP = 16  # purpose of derived seeds
_TRIES = 50
_COVERED = 0.1  # a background crop may be covered to this share by any one box

Box = tuple[float, float, float, float]


def write_box_crops(
    folder: Path, splits: Mapping[str, list[dict[str, Any]]], class_names: list[str]
) -> Path:
    """Makes ``folder/<split>/<class>/*.png``, unless it is there already.

    Each box gives a square around its centre, as long as the box's longer side and a margin on
    either side, moved into the image where it would leave it, resized to 64 x 64 pixels. Images
    are also cut where no box lies, as the class "background"; where no such place is found in an
    image, it gives fewer.

    Args:
        splits: cleaned dicts in Detectron2's form (what DatasetCatalog gives) by split.
        class_names: of the dicts' category ids.

    Raises:
        DataError: the folder holds something else, or a class has no box in a split.
    """
    parameters = {
        "format": _FORMAT,
        "boxes": {s: sum(len(r["annotations"]) for r in splits[s]) for s in splits},
        "classes": class_names,
        "size": SIZE,
        "margin": _MARGIN,
        "background_per_image": _BACKGROUNDS,
        "seed": 0,
    }

    def write(target: Path) -> None:
        for number, (split, records) in enumerate(splits.items()):
            for name in [*class_names, BACKGROUND]:
                (target / split / name).mkdir(parents=True)
            for i, record in enumerate(records):
                rng = np.random.default_rng(derive_seed(0, _CROP, number, i))
                _write_image(target / split, record, class_names, rng)
            for path in sorted((target / split).iterdir()):
                if not any(path.iterdir()):
                    raise DataError(f"The split {split} has no box of class {path.name}.")

    return write_folder_once(folder, parameters, write)


def _write_image(
    target: Path, record: dict[str, Any], class_names: list[str], rng: np.random.Generator
) -> None:
    pixels = detection_utils.read_image(record["file_name"], format="RGB")
    stem = Path(record["file_name"]).stem
    boxes: list[Box] = []
    for number, annotation in enumerate(record["annotations"]):
        x0, y0, x1, y1 = BoxMode.convert(
            list(annotation["bbox"]), annotation["bbox_mode"], BoxMode.XYXY_ABS
        )
        boxes.append((x0, y0, x1, y1))
        side = max(x1 - x0, y1 - y0) * (1 + 2 * _MARGIN)
        crop = _cut(pixels, (x0 + x1) / 2, (y0 + y1) / 2, side)
        name = class_names[annotation["category_id"]]
        Image.fromarray(crop).save(target / name / f"{stem}_{number:04d}.png")
    for number in range(_BACKGROUNDS if boxes else 0):
        found = _empty_square(pixels.shape[:2], boxes, rng)
        if found is not None:
            crop = _cut(pixels, *found)
            Image.fromarray(crop).save(target / BACKGROUND / f"{stem}_{number:04d}.png")


def _cut(pixels: np.ndarray, x: float, y: float, side: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    length = max(1, min(round(side), height, width))
    left = min(max(round(x - length / 2), 0), width - length)
    top = min(max(round(y - length / 2), 0), height - length)
    square = np.ascontiguousarray(pixels[top : top + length, left : left + length])
    method = cv2.INTER_AREA if length > SIZE else cv2.INTER_LINEAR
    return cv2.resize(square, (SIZE, SIZE), interpolation=method)


def _empty_square(
    shape: tuple[int, int], boxes: list[Box], rng: np.random.Generator
) -> tuple[float, float, float] | None:
    """Centre and side of a square as large as one of the boxes' crops that no box covers."""
    height, width = shape
    corners = np.array(boxes)
    for _ in range(_TRIES):
        x0, y0, x1, y1 = boxes[int(rng.integers(len(boxes)))]
        side = min(max(x1 - x0, y1 - y0) * (1 + 2 * _MARGIN), height, width)
        left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        low, high = (
            np.maximum(corners[:, :2], (left, top)),
            np.minimum(corners[:, 2:], (left + side, top + side)),
        )
        if np.max(np.prod(np.clip(high - low, 0, None), axis=1) / side**2) < _COVERED:
            return left + side / 2, top + side / 2, side
    return None
