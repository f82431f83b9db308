"""The demo data set: handwritten digits over photographs, in COCO, VOC and image-folder form."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from detnas_d2.data.atomic import write_folder_once
from detnas_d2.data.digit_scenes import SPLITS, DigitScenes, PlacedDigit

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_FORMAT = 2  # raise when the same parameters give other files
_DETECTION, _CLASSIFICATION = 14, 15  # purposes of derived seeds


@dataclass(frozen=True)
class DigitsParameters:
    """What the digits set is a function of. Lengths are pixels, ranges include their ends.

    Args:
        images: detection images in train, val and test.
        digits_per_image: fewer where they do not fit.
        digit_size: height of the digits.
        max_overlap: the share of the smaller of two boxes that the other may cover.
        cls_images_per_class: classification images in train and val.
    """

    image_size: int = 128
    classes: tuple[int, ...] = tuple(range(10))
    images: tuple[int, int, int] = (400, 100, 100)
    digits_per_image: tuple[int, int] = (1, 4)
    digit_size: tuple[int, int] = (24, 48)
    max_overlap: float = 0.1
    seed: int = 0
    cls_image_size: int = 64
    cls_images_per_class: tuple[int, int] = (200, 50)


DEMO_DIGITS = DigitsParameters(
    classes=(0, 1, 2, 3, 4), images=(300, 60, 100), digits_per_image=(1, 3)
)
"""The set of configs/demo and configs/own_space."""
STUDY_DIGITS = DigitsParameters(
    classes=(0, 1, 2, 3, 4),
    images=(600, 150, 300),
    digits_per_image=(1, 3),
    cls_images_per_class=(300, 100),
)
"""The larger one of configs/digits, the study of projects/DetNAS."""


def write_digits(root: str | Path, parameters: DigitsParameters | None = None) -> Path:
    """Makes the set in the folder root, unless it is there already; byte-identical each time.

    Layout: ``JPEGImages/*.png``, ``annotations/instances_<split>.json`` (COCO),
    ``Annotations/*.xml`` and ``ImageSets/Main/<split>.txt`` (VOC),
    ``cls/{train,val}/<class>/*.png``.

    Raises:
        DataError: root holds something else, or a set made with other parameters.
    """
    parameters = parameters or DigitsParameters()

    def write(folder: Path) -> None:
        for name in ("JPEGImages", "Annotations", "ImageSets/Main", "annotations"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for split, count in zip(SPLITS, parameters.images, strict=True):
            _write_detection(folder, split, count, parameters)
        for split, count in zip(SPLITS[:2], parameters.cls_images_per_class, strict=True):
            _write_classification(folder / "cls", split, count, parameters)

    return write_folder_once(root, {"format": _FORMAT, **asdict(parameters)}, write)


def _write_detection(folder: Path, split: str, count: int, p: DigitsParameters) -> None:
    scenes = DigitScenes(split, p.classes, p.seed, _DETECTION)
    ids: list[str] = []
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for i in range(count):
        pixels, digits = scenes.draw(
            i, p.image_size, p.digit_size, p.digits_per_image, p.max_overlap
        )
        image_id = f"{split}_{i:05d}"
        file_name = f"{image_id}.png"
        _save(pixels, folder / "JPEGImages" / file_name)
        _write_voc(folder / "Annotations" / f"{image_id}.xml", file_name, p.image_size, digits)
        ids.append(image_id)
        images.append(
            {"id": i + 1, "file_name": file_name, "width": p.image_size, "height": p.image_size}
        )
        for digit in digits:
            x0, y0, x1, y1 = digit.box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i + 1,
                    "category_id": p.classes.index(digit.label) + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i + 1, "name": DIGIT_NAMES[c]} for i, c in enumerate(p.classes)]
    (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(ids) + "\n")
    (folder / "annotations" / f"instances_{split}.json").write_text(
        json.dumps(
            {
                "info": {"description": f"digits over photographs, {split}"},
                "images": images,
                "annotations": annotations,
                "categories": categories,
            }
        )
    )


def _write_voc(path: Path, file_name: str, size: int, digits: list[PlacedDigit]) -> None:
    root = ET.Element("annotation")
    ET.SubElement(root, "filename").text = file_name
    shape = ET.SubElement(root, "size")
    for name, value in (("width", size), ("height", size), ("depth", 3)):
        ET.SubElement(shape, name).text = str(value)
    for digit in digits:
        item = ET.SubElement(root, "object")
        ET.SubElement(item, "name").text = DIGIT_NAMES[digit.label]
        for name, text in (("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
            ET.SubElement(item, name).text = text
        x0, y0, x1, y1 = digit.box
        bounds = ET.SubElement(item, "bndbox")  # 1-based, inclusive
        for name, value in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
            ET.SubElement(bounds, name).text = str(value)
    ET.indent(root)
    path.write_bytes(ET.tostring(root, encoding="utf-8") + b"\n")


def _write_classification(folder: Path, split: str, count: int, p: DigitsParameters) -> None:
    """One digit an image, a third to three quarters of its height."""
    scenes = DigitScenes(split, p.classes, p.seed, _CLASSIFICATION)
    size = p.cls_image_size
    heights = (max(8, size // 3), max(8, 3 * size // 4))
    for label in p.classes:
        target = folder / split / DIGIT_NAMES[label]
        target.mkdir(parents=True)
        for i in range(count):
            pixels, _ = scenes.draw(label * count + i, size, heights, (1, 1), label=label)
            _save(pixels, target / f"{i:05d}.png")


def _save(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(pixels).save(path)
