"""Masks and keypoints of annotations, which Detectron2 reads even where boxes are trained on."""

from __future__ import annotations

from typing import Any

from pycocotools import mask


def has_right_mask(entry: dict[str, Any]) -> bool:
    """Whether Detectron2 takes the annotation with its `segmentation` and `keypoints`."""
    points, shape = entry.get("keypoints"), entry.get("segmentation")
    if points and not (isinstance(points, list) and all(type(x) in (int, float) for x in points)):
        return False
    if not shape:
        return True
    if isinstance(shape, list):
        lists = all(isinstance(polygon, list) for polygon in shape)
        return lists and any(len(p) >= 6 and len(p) % 2 == 0 for p in shape)
    return _run_lengths(shape) is not None


def _run_lengths(shape: Any) -> Any:
    """A mask as pycocotools packs it, or None where it is no such."""
    try:
        counts = shape["counts"]
        return mask.frPyObjects(shape, *shape["size"]) if isinstance(counts, list) else shape
    except Exception:  # whatever pycocotools raises, it raises when the data set is loaded
        return None


def box_of_mask(shape: Any) -> list[float] | None:
    """[x, y, width, height] in pixels of a `segmentation`; None of none."""
    if not shape:
        return None
    try:
        if isinstance(shape, dict):
            return [float(x) for x in mask.toBbox(_run_lengths(shape))]
        points = [point for polygon in shape if len(polygon) >= 6 for point in polygon]
        x0, y0, x1, y1 = min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])
        return [x0, y0, x1 - x0, y1 - y0]
    except Exception:  # coordinates of any kind
        return None
