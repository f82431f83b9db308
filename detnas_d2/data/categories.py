"""What the classes of a detection data set are called."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog

from detnas_d2.data.errors import DataError


def names_as_text(names: Sequence[str]) -> str:
    """Class names in the form in which a config keeps any: a JSON list as one text.

    In a list of its own, OmegaConf would read a class called ``???`` as a missing value and
    ``${x}`` as a reference.
    """
    return json.dumps(list(names), ensure_ascii=False).replace("$", "\\u0024")


def names_of_text(names: Sequence[str] | str) -> list[str]:
    """Class names, out of a list or of what `names_as_text` has written.

    Raises:
        DataError: text that is no JSON list of texts.
    """
    if not isinstance(names, str):
        return list(names)
    try:
        found = json.loads(names)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise DataError(
            f"class_names is the text {names!r}; expected a list of names, or one as JSON: "
            """'["cup", "saucer"]'."""
        )
    return found


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
