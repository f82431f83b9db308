"""Masks and keypoints of annotations: training on boxes ignores them, but Detectron2 reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pycocotools import mask


def has_usable_mask(entry: Mapping[str, Any]) -> bool:
    """Whether Detectron2 takes the annotation with its `segmentation` and `keypoints`."""
    shape = entry.get("segmentation")
    if not has_valid_mask(shape) or not has_valid_keypoints(entry.get("keypoints")):
        return False
    return not shape or isinstance(shape, dict) or any(map(is_polygon, shape))


def has_valid_mask(shape: Any) -> bool:
    """Whether a `segmentation` is nothing, polygons, or run lengths of a mask."""
    if not shape:
        return True
    if isinstance(shape, dict):
        counts, size = shape.get("counts"), shape.get("size")
        if not isinstance(counts, list):
            return isinstance(counts, str)
        try:
            mask.frPyObjects(shape, *(size or ()))
        except Exception:  # whatever pycocotools raises, it raises when the data set is loaded
            return False
        return True
    return isinstance(shape, list) and all(isinstance(polygon, list) for polygon in shape)


def has_valid_keypoints(points: Any) -> bool:
    """Whether `keypoints` is nothing or a list of numbers."""
    return not points or (isinstance(points, list) and all(map(is_number, points)))


def is_polygon(points: list[Any]) -> bool:
    """Whether Detectron2 counts a list of coordinates as a polygon (load_coco_json)."""
    return len(points) >= 6 and len(points) % 2 == 0


def is_number(value: Any) -> bool:
    """A JSON number that fits into a float."""
    return type(value) is float or (type(value) is int and abs(value) < 2**63)
