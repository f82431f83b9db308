"""Made images, for what is to run without a download: rectangles of one colour a class, on noise.

Everything is a function of the arguments.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

BOXES = 7  # of an image, as COCO has
PHOTOGRAPHS = 32


def write_coco(
    file: Path, images: Path, count: int, size: tuple[int, int], classes: Sequence[str], seed: int
) -> None:
    """A COCO JSON file and the images that it names, of `size` (height, width)."""
    rng = np.random.default_rng(seed)
    images.mkdir(parents=True, exist_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    records, boxes = list[dict[str, Any]](), list[dict[str, Any]]()
    for i in range(count):
        pixels = _noise(rng, size)
        for _ in range(BOXES):
            (y, x), (h, w) = (rng.integers(0, np.array(size) // 3) for _ in range(2))
            h, w = h + size[0] // 16, w + size[1] // 16
            which = int(rng.integers(len(classes)))
            colour = np.random.default_rng(which).integers(0, 256, 3, np.uint8)
            pixels[y : y + h, x : x + w] = colour
            ids = {"id": len(boxes) + 1, "image_id": i + 1, "category_id": which + 1}
            box = [int(v) for v in (x, y, w, h)]
            boxes.append({**ids, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
        name = f"made_{seed}_{i:05d}.jpg"
        Image.fromarray(pixels).save(images / name)
        records.append({"id": i + 1, "file_name": name, "height": size[0], "width": size[1]})
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(classes)]
    contents = {"info": {}, "images": records, "annotations": boxes, "categories": categories}
    file.write_text(json.dumps(contents))


def write_image_folder(
    root: Path, classes: int, per_class: int, size: tuple[int, int], seed: int
) -> None:
    """A data set in ImageNet's form, root/{train,val}/<class>/*.jpg.

    Its files are links to a few images, so that a thousand classes are there in a second.
    """
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    for i in range(PHOTOGRAPHS):
        Image.fromarray(_noise(rng, size)).save(root / f"{i}.jpg")
    for split in ("train", "val"):
        for which in range(classes):
            folder = root / split / f"n{which:08d}"
            folder.mkdir(parents=True)
            for i in range(per_class):
                image = root / f"{(which * per_class + i) % PHOTOGRAPHS}.jpg"
                os.link(image, folder / f"{i}.jpg")


def _noise(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Blurred noise: JPEG files of it are as large as those of photographs."""
    small = rng.integers(0, 256, (size[0] // 4, size[1] // 4, 3), np.uint8)
    return np.array(Image.fromarray(small).resize(size[::-1], Image.Resampling.BILINEAR))
