"""The demo data set: handwritten digits over photographs, in COCO's and image-folder form."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from detnas_d2.data.atomic import write_folder_once
from detnas_d2.data.digit_scenes import MAX_OVERLAP, SPLITS, DigitScenes

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_FORMAT = 2  # raise when the same parameters give others of these files
_DETECTION, _CLASSIFICATION = 14, 15  # purposes of derived seeds


@dataclass(frozen=True)
class DigitsParameters:
    """What the digits set is a function of. Lengths are pixels, ranges include their ends.

    Args:
        images: detection images in train, val and test.
        digits_per_image: fewer where they do not fit.
        digit_size: height of the digits.
        cls_images_per_class: classification images in train and val.
    """

    image_size: int = 128
    classes: tuple[int, ...] = (0, 1, 2, 3, 4)
    images: tuple[int, int, int] = (300, 60, 100)
    digits_per_image: tuple[int, int] = (1, 3)
    digit_size: tuple[int, int] = (24, 48)
    seed: int = 0
    cls_image_size: int = 64
    cls_images_per_class: tuple[int, int] = (200, 50)


DEMO_DIGITS = DigitsParameters()
"""The set of configs/demo and configs/own_space."""
STUDY_DIGITS = DigitsParameters(images=(600, 150, 300), cls_images_per_class=(300, 100))
"""The larger one of configs/digits, the study of projects/DetNAS."""
TABLE_DIGITS = DigitsParameters(
    classes=tuple(range(10)),
    images=(2000, 300, 600),
    digit_size=(16, 96),
    seed=3,
    cls_images_per_class=(1, 1),
)
"""Small and large digits of all ten classes, of configs/table."""


def write_digits(root: str | Path, parameters: DigitsParameters = DEMO_DIGITS) -> Path:
    """Makes the set in the folder root, unless it is there already; byte-identical each time.

    Layout: ``JPEGImages/*.png``, ``annotations/instances_<split>.json``,
    ``cls/{train,val}/<class>/*.png``.

    Raises:
        DataError: root holds something else, or a set made with other parameters.
    """

    def write(folder: Path) -> None:
        (folder / "JPEGImages").mkdir()
        (folder / "annotations").mkdir()
        for split, count in zip(SPLITS, parameters.images, strict=True):
            _write_detection(folder, split, count, parameters)
        for split, count in zip(SPLITS[:2], parameters.cls_images_per_class, strict=True):
            _write_classification(folder / "cls", split, count, parameters)

    return write_folder_once(
        root, {"format": _FORMAT, "max_overlap": MAX_OVERLAP, **asdict(parameters)}, write
    )


def _write_detection(folder: Path, split: str, count: int, p: DigitsParameters) -> None:
    scenes = DigitScenes(split, p.classes, p.seed, _DETECTION)
    size = {"width": p.image_size, "height": p.image_size}
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for i in range(1, count + 1):
        pixels, digits = scenes.draw(i - 1, p.image_size, p.digit_size, p.digits_per_image)
        images.append({"id": i, "file_name": f"{split}_{i - 1:05d}.png", **size})
        Image.fromarray(pixels).save(folder / "JPEGImages" / images[-1]["file_name"])
        for digit, (x0, y0, x1, y1) in digits:
            ids = {"image_id": i, "category_id": p.classes.index(digit) + 1}
            place = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0)}
            boxes.append({"id": len(boxes) + 1, **ids, **place, "iscrowd": 0})
    content = {
        "info": {"description": f"digits over photographs, {split}"},
        "images": images,
        "annotations": boxes,
        "categories": [{"id": i, "name": DIGIT_NAMES[c]} for i, c in enumerate(p.classes, 1)],
    }
    (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))


def _write_classification(folder: Path, split: str, count: int, p: DigitsParameters) -> None:
    """One digit an image, a third to three quarters of its height."""
    scenes = DigitScenes(split, p.classes, p.seed, _CLASSIFICATION)
    size = p.cls_image_size
    heights = (max(8, size // 3), max(8, 3 * size // 4))
    for label in p.classes:
        target = folder / split / DIGIT_NAMES[label]
        target.mkdir(parents=True)
        for i in range(count):
            pixels, _ = scenes.draw(label * count + i, size, heights, (1, 1), label)
            Image.fromarray(pixels).save(target / f"{i:05d}.png")
