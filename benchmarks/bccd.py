"""What the benchmarks on BCCD share: the first images of a set."""

from __future__ import annotations

from typing import Any

from detectron2.data import get_detection_dataset_dicts


def first(names: str, count: int) -> list[dict[str, Any]]:
    """The first images of a registered data set."""
    return get_detection_dataset_dicts(names, filter_empty=False)[:count]
