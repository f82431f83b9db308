"""A split of a data set: clean images and boxes, as both readers yield and all else takes them."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from detnas_d2.data.errors import DataError
from detnas_d2.data.findings import Findings

logger = logging.getLogger(__name__)

# what evaluators, who read the files of registered sets again, read as training does
HARMLESS = ("box-damaged", "detail", "difficult")
MIN_SIDE = 1.0  # pixels; a box must be wider and higher than this


@dataclass(slots=True)
class Box:
    """One object or crowd region.

    Attributes:
        entry: in COCO's form: `bbox` [x, y, width, height] in pixels, `area`, `iscrowd`, and what
            else its file had.
    """

    class_name: str
    entry: dict[str, Any]

    @property
    def is_crowd(self) -> bool:
        return bool(self.entry["iscrowd"])


@dataclass(slots=True)
class Image:
    """One image.

    Attributes:
        file_name: relative to the split's image folder.
        size: (width, height) in pixels; (0, 0) until the file was looked into, where the
            annotation gives none.
        entry: of a COCO file.
        length: of the file, in bytes, once it was looked into.
        digest: of its bytes, where another file has that length.
        thumbnail: (16, 16) uint8, grey; None where it was not decoded.
    """

    file_name: str
    path: Path
    size: tuple[int, int]
    entry: dict[str, Any]
    boxes: list[Box] = field(default_factory=list)
    length: int = 0
    digest: str = ""
    thumbnail: np.ndarray | None = None

    @property
    def objects(self) -> list[Box]:
        """Without crowd regions, which training does not use."""
        return [box for box in self.boxes if not box.is_crowd]


@dataclass
class Split:
    """A COCO JSON file, or an image set of a VOC folder.

    Attributes:
        file: the JSON file, or the text file of ids (the folder, where it has none).
        image_folder: what file names are relative to.
        how: how the image folder was found, for the report.
        classes: name by id, in the order of the ids.
    """

    name: str
    form: str
    file: Path
    image_folder: Path
    how: str
    classes: dict[Any, str] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)

    @property
    def boxes(self) -> Iterator[Box]:
        return (box for image in self.images for box in image.boxes)


def clean_records(
    split: Split, findings: Findings, annotation: Callable[[Box], dict[str, Any]]
) -> list[dict[str, Any]]:
    """A split in Detectron2's form, without damaged boxes, which are reported once.

    Args:
        annotation: makes Detectron2's dict of a box.

    Raises:
        DataError: something was found that is not harmless, or an image has no size.
    """
    for image in split.images:
        if not all(image.size):
            findings.add("image", split.name, f"{image.file_name}: no width and height")
    if wrong := [str(found) for found in findings.of() if found.code not in HARMLESS]:
        lines = "\n".join(wrong)
        raise DataError(
            f"{split.file} can't be used as it is:\n{lines}\nMend these, take the images out, or "
            f"have new ones written without these: python -m detnas_d2.data.check {split.file} "
            "--split OUT"
        )
    drop_damaged_boxes(split, findings)
    for found in findings.of():
        if found.code != "difficult":  # VOC's own sets are full of these
            _warn_once(str(found))
    return [
        {
            "file_name": str(image.path),
            "height": image.size[1],
            "width": image.size[0],
            "image_id": image.entry["id"],
            "annotations": [annotation(box) for box in image.boxes],
        }
        for image in split.images
    ]


@functools.cache
def _warn_once(message: str) -> None:
    """In a process, however often the data set is loaded."""
    logger.warning(message)


def drop_damaged_boxes(split: Split, findings: Findings) -> None:
    """Leaves out boxes that are not finite, without area, or outside their image.

    A box whose width or height is at most one pixel counts as one without area: Pascal VOC's
    coordinates are inclusive, so that a file's xmin == xmax reads as one pixel, and COCO files
    converted from VOC hold 1 x 1. A box that is partly inside stays as it is.
    """
    for image in split.images:
        kept = []
        for box in image.boxes:
            damage = _damage(box.entry["bbox"], image.size)
            if damage is None:
                kept.append(box)
            else:
                place = f"{image.file_name}: {box.entry['bbox']} ({damage})"
                findings.add("box-damaged", split.name, place)
        image.boxes = kept


def _damage(box: list[float], size: tuple[int, int]) -> str | None:
    x, y, width, height = box
    if not all(map(math.isfinite, box)):
        return "not finite"
    if min(width, height) <= MIN_SIDE:
        return "without area"
    inside_x = min(x + width, size[0]) - max(x, 0)
    inside_y = min(y + height, size[1]) - max(y, 0)
    return "outside the image" if min(inside_x, inside_y) <= 0 else None
