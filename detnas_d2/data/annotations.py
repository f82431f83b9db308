"""Cleaning of annotations: boxes that no detector can learn are reported and left out."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detectron2.structures import BoxMode

from detnas_d2.data.errors import DataError

logger = logging.getLogger(__name__)

MIN_SIDE = 1.0  # pixels; a box must be wider and higher than this
_LISTED = 10  # images named in a report
_reported: set[str] = set()


def drop_damaged_boxes(records: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Leaves out boxes that are not finite, without area, or outside their image.

    A box whose width or height is at most one pixel counts as one without area: Pascal VOC's
    coordinates are inclusive, so that a file's xmin == xmax reads as one pixel, and COCO files
    converted from VOC hold 1 x 1. One line for each data set names images and counts, once in a
    process however often the set is loaded. A box that is partly inside stays as it is.

    Args:
        records: dicts in Detectron2's form; not changed.
        name: the data set's name, for the report.

    Returns:
        The same records, without the damaged annotations (records that had any are copies).

    Raises:
        DataError: a box that is not four numbers.
    """
    cleaned, counts, images = [], dict.fromkeys(_REASONS, 0), []
    for record in records:
        kept = []
        for annotation in record["annotations"]:
            reason = box_damage(annotation, record)
            if reason is None:
                kept.append(annotation)
            else:
                counts[reason] += 1
        if len(kept) < len(record["annotations"]):
            images.append(Path(record["file_name"]).name)
            record = {**record, "annotations": kept}
        cleaned.append(record)
    if images:
        _report_once(name, counts, images)
    return cleaned


_REASONS = ("not finite", "without area", "outside the image")


def box_damage(annotation: Mapping[str, Any], record: Mapping[str, Any]) -> str | None:
    """Why a box cannot be learned ("not finite", "without area", "outside the image"), or None.

    Args:
        annotation: ``bbox`` and ``bbox_mode``.
        record: ``width``, ``height`` and, for the message, ``file_name``.

    Raises:
        DataError: a box that is not four numbers.
    """
    box = annotation["bbox"]
    if len(box) != 4:
        raise DataError(f"A box of {record['file_name']} is not four numbers: {list(box)}.")
    if not all(math.isfinite(value) for value in box):
        return "not finite"
    mode = annotation["bbox_mode"]
    if mode == BoxMode.XYWH_ABS:  # BoxMode makes a tensor, which takes ten times as long
        x0, y0, width, height = box
        x1, y1 = x0 + width, y0 + height
    else:
        x0, y0, x1, y1 = BoxMode.convert(list(box), mode, BoxMode.XYXY_ABS)
        width, height = x1 - x0, y1 - y0
    if min(width, height) <= MIN_SIDE:
        return "without area"
    inside_x = min(x1, record["width"]) - max(x0, 0)
    inside_y = min(y1, record["height"]) - max(y0, 0)
    return "outside the image" if min(inside_x, inside_y) <= 0 else None


def _report_once(name: str, counts: dict[str, int], images: list[str]) -> None:
    total = sum(counts.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)
    more = f" and {len(images) - _LISTED} more" if len(images) > _LISTED else ""
    message = (
        f"Data set {name}: left out {total} damaged {'box' if total == 1 else 'boxes'} "
        f"({reasons}) in {len(images)} {'image' if len(images) == 1 else 'images'}: "
        f"{', '.join(images[:_LISTED])}{more}"
    )
    if message not in _reported:
        _reported.add(message)
        logger.warning(message)
