"""Values of annotation files that mean the same, however they are written, and masks."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from pycocotools import mask


def whole(value: Any) -> int | None:
    """The whole number that 3, 3.0 or "3" is; None for anything else."""
    if type(value) is int:
        return value
    if type(value) is bool or (isinstance(value, float) and value.is_integer()):
        return int(value)
    if isinstance(value, str) and len(value) < 20:
        text = value.strip().removesuffix(".0")
        return int(text) if text.isascii() and text.isdigit() and str(int(text)) == text else None
    return None


def number(value: Any) -> float | None:
    """A number, also one in a text; one that fits into a float."""
    if type(value) is str:
        try:
            value = float(value)
        except ValueError:
            return None
    fits = type(value) is float or (type(value) is int and abs(value) < 2**63)
    return value if fits else None


def identity(value: Any) -> Any:
    """What an id is found by: 1, 1.0 and "1" are the same; other texts are themselves."""
    number = whole(value)
    return number if number is not None else value.strip() if isinstance(value, str) else None


def show(entry: Mapping[str, Any], key: str) -> str:
    """A value of an entry for a message, cut where it is long."""
    if key not in entry:
        return "missing"
    return "null" if entry[key] is None else reprlib.repr(entry[key])


def is_keypoints(points: Any) -> bool:
    return isinstance(points, list) and all(type(x) in (int, float) for x in points)


def is_mask(shape: Any) -> bool:
    """Whether Detectron2 takes it, which reads it even where boxes are trained on."""
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
