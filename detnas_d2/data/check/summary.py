"""The figures of a split: images, boxes, classes, sizes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .classes import boxes_by_class
from .dataset import Split
from .images import ImageFile

SMALL, LARGE = 32**2, 96**2
"""COCO's limits of a box's area, in pixels of the original image."""


def summarise(split: Split, files: Mapping[Path, ImageFile]) -> dict[str, Any]:
    """Usable boxes that are no crowd regions are counted, by class and by size."""
    counts = boxes_by_class(split)
    sizes = dict.fromkeys(("small", "medium", "large"), 0)
    without = crowd = unusable = 0
    for image in split.images:
        usable = 0
        for box in image.boxes:
            unusable += box.damage is not None
            crowd += box.damage is None and box.is_crowd
            if box.is_object:
                usable += 1
                area = box.entry["bbox"][2] * box.entry["bbox"][3]
                key = "small" if area < SMALL else "medium" if area < LARGE else "large"
                sizes[key] += 1
        without += not usable
    return {
        "name": split.name,
        "form": split.form,
        "file": str(split.file),
        "image_folder": str(split.image_folder),
        "image_folder_found": split.how,
        "images": len(split.images),
        "unusable_images": sum(image.damage is not None for image in split.images),
        "images_without_boxes": without,
        "boxes": sum(sizes.values()),
        "unusable_boxes": unusable,
        "crowd_regions": crowd,
        "boxes_by_size": sizes,
        "boxes_by_class": {name: counts[name] for name in split.classes},
        "image_sizes": _image_sizes(split, files),
    }


def _image_sizes(split: Split, files: Mapping[Path, ImageFile]) -> dict[str, list[int]]:
    """(width, height) of the smallest, the middle and the largest image by area."""
    sizes = []
    for image in split.images:
        file = files.get(image.path)
        size = (file.size if file else None) or image.size
        if size is not None:
            sizes.append(size)
    if not sizes:
        return {}
    sizes.sort(key=lambda size: (size[0] * size[1], size))
    chosen = {"smallest": sizes[0], "median": sizes[len(sizes) // 2], "largest": sizes[-1]}
    return {key: list(size) for key, size in chosen.items()}
