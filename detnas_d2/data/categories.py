"""What the classes of a detection data set are called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog


def categories_of(names: Iterable[str]) -> list[dict[str, Any]]:
    """The classes of a data set by a detector's class number, as COCO's JSON writes categories.

    Args:
        names: data sets in Detectron2's catalogs; the first of them that knows its classes counts.

    Returns:
        ``{"id", "name"}`` of each class; the ids are those of the annotation file, or count from 1
        where it has none (VOC). Empty where no class names are known.
    """
    for name in names:
        metadata = MetadataCatalog.get(name) if name in DatasetCatalog else None
        classes = metadata.get("thing_classes") if metadata else None
        if not metadata or not classes:
            continue
        numbers = metadata.get("thing_dataset_id_to_contiguous_id") or {}
        ids = {number: int(category) for category, number in numbers.items()}
        return [{"id": ids.get(i, i + 1), "name": str(c)} for i, c in enumerate(classes)]
    return []
