"""What the benchmarks on BCCD share: a path of the 300M space, and the first images of a set."""

from __future__ import annotations

from typing import Any

from detectron2.data import get_detection_dataset_dicts

PATH = "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2"  # DetNASNet, COCO, FPN


def first(names: str, count: int) -> list[dict[str, Any]]:
    """The first images of a registered data set."""
    return get_detection_dataset_dicts(names, filter_empty=False)[:count]
