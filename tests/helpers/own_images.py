"""Configs for own data, tried on a few generated images: configs/custom, and copies of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from detectron2.data import DatasetCatalog
from PIL import Image

from detnas_d2.data import unregister_dataset
from detnas_d2.data.check.stratify import PARTS
from detnas_d2.data.own import prepare_folder

SETTINGS = "settings.py"
CLASSES = ("square", "bar")
SIZE = 64  # pixels


@contextlib.contextmanager
def with_tiny_data(config: Path, folder: str) -> Iterator[Path]:
    """A copy of a config whose settings name generated images, where its folder has settings.

    Args:
        config: of configs/FOLDER.
        folder: a temporary one; a folder in it is the working directory meanwhile.
    """
    if not (config.parent / SETTINGS).is_file():
        yield config
        return
    root = Path(folder) / f"own_{config.parent.name}"
    copy = root / "configs" / config.parent.name
    if not copy.exists():
        shutil.copytree(config.parent, copy)
        (copy.parent / "common").symlink_to(config.parents[1] / "common")
        annotations = write_tiny_data(root / "data")
        values = {
            "annotations": str(annotations),
            "images": str(annotations.parent),
            "name": config.parent.name,
            "machine": "cpu",
            "weights": "",
        }
        lines = [f"{key} = {value!r}" for key, value in values.items()]
        (copy / SETTINGS).write_text("\n".join(lines) + "\n")
    former = os.getcwd()
    os.chdir(root)
    try:
        prepare_folder(copy)  # step 0
        yield copy / config.name
    finally:
        os.chdir(former)
        for part in PARTS:
            if (name := f"{config.parent.name}_{part}") in DatasetCatalog:
                unregister_dataset(name)


def write_tiny_data(folder: Path) -> Path:
    """Write 12 images with a bright box each, of two classes in turn, and beside them all.json, in
    COCO's form, whose path is returned."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    entries, annotations = [], []
    for i in range(1, 13):
        pixels = rng.integers(0, 80, (SIZE, SIZE, 3), dtype=np.uint8)
        width, height = ((24, 24), (40, 12))[i % 2]
        x, y = (int(v) for v in rng.integers(0, SIZE - 40, 2))
        pixels[y : y + height, x : x + width] = 220
        name = f"{i}.png"
        Image.fromarray(pixels).save(folder / name)
        entries.append({"id": i, "file_name": name, "width": SIZE, "height": SIZE})
        box = {"bbox": [x, y, width, height], "area": width * height, "iscrowd": 0}
        annotations.append({"id": i, "image_id": i, "category_id": 1 + i % 2, **box})
    categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES, 1)]
    content = {"images": entries, "annotations": annotations, "categories": categories}
    file = folder / "all.json"
    file.write_text(json.dumps(content))
    return file
