"""A split as it was read: images and boxes in one form, with what makes them unusable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detectron2.structures import BoxMode

from detnas_d2.data.annotations import box_damage

from .findings import Findings

_DAMAGE = {
    "not finite": "box-not-finite",
    "without area": "box-without-area",
    "outside the image": "box-outside",
}
_CLEAR = 2.0  # pixels, beyond any rounding of the rules' float32


@dataclass(slots=True)
class Box:
    """One annotation.

    Attributes:
        class_name: None where it is unknown.
        entry: in COCO's form, bbox [x, y, width, height] in pixels; as in the file, if it is one.
        damage: code of the finding that makes it unusable, or None.
    """

    class_name: str | None
    entry: Mapping[str, Any]
    damage: str | None = None

    @property
    def is_crowd(self) -> bool:
        return bool(self.entry.get("iscrowd", 0))

    @property
    def is_object(self) -> bool:
        """Whether it is usable and no crowd region, which training does not use."""
        return self.damage is None and not self.is_crowd


@dataclass(slots=True)
class Image:
    """One image.

    Attributes:
        file_name: as the annotations name it, relative to the split's image folder.
        path: where it has to lie.
        size: (width, height) in pixels by its annotation; None where that gives none.
        entry: of a COCO file.
        damage: code of the finding that makes it unusable, or None.
    """

    file_name: str
    path: Path
    size: tuple[int, int] | None
    entry: Mapping[str, Any]
    boxes: list[Box] = field(default_factory=list)
    damage: str | None = None


@dataclass
class Split:
    """A COCO JSON file, or an image set of a VOC folder.

    Attributes:
        file: the JSON file, or the text file of ids (the folder, where it has none).
        image_folder: what file names are relative to.
        how: how the image folder was found, for the report.
        classes: in the order of their ids.
    """

    name: str
    form: str
    file: Path
    image_folder: Path
    how: str
    classes: list[str] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)


def check_box(
    box: Box,
    image: Image,
    split: str,
    place: str,
    findings: Findings,
    corners: list[float] | None = None,
) -> None:
    """Marks a box of four numbers that training leaves out, by its own rules (box_damage).

    Args:
        corners: (x0, y0, x1, y1), where the file gives these; rounding can make a difference.
    """
    x, y, width, height = box.entry["bbox"]
    image_width, image_height = image.size or (float("inf"), float("inf"))
    right, bottom = x + width, y + height
    clear = (
        min(width, height) > _CLEAR
        and min(right, image_width) - max(x, 0) > _CLEAR
        and min(bottom, image_height) - max(y, 0) > _CLEAR
        and max(right, bottom) < 1e5
    )
    if not clear:
        annotation = {"bbox": box.entry["bbox"], "bbox_mode": BoxMode.XYWH_ABS}
        if corners is not None:
            annotation = {"bbox": corners, "bbox_mode": BoxMode.XYXY_ABS}
        record = {"width": image_width, "height": image_height, "file_name": image.file_name}
        reason = box_damage(annotation, record)
        if reason is not None:
            box.damage = box.damage or _DAMAGE[reason]
            findings.add(_DAMAGE[reason], split, f"{place}: {list(box.entry['bbox'])}")
            return
    if min(x, y) < -1 or right > image_width + 1 or bottom > image_height + 1:
        size = f"{image_width}x{image_height}"
        findings.add("box-partly-outside", split, f"{place}: {list(box.entry['bbox'])} in {size}")
