"""Data sets in COCO's form, for training and Detectron2's COCO evaluator."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detectron2.data import MetadataCatalog
from detectron2.structures import BoxMode
from pycocotools import mask

from detnas_d2.data.catalog import register_dataset
from detnas_d2.data.categories import names_of_text
from detnas_d2.data.coco_reader import load_json, order, read_coco, without_garbage_collection
from detnas_d2.data.dataset import Box, Split, clean_records
from detnas_d2.data.errors import DataError
from detnas_d2.data.findings import Findings
from detnas_d2.data.image_files import find_images, forget_folders

logger = logging.getLogger(__name__)


def register_coco(
    name: str,
    json_file: str | Path,
    image_root: str | Path,
    *,
    class_names: Sequence[str] | str | None = None,
    builtin: Mapping[Path, str] | None = None,
) -> None:
    """Registers a COCO JSON file for training and Detectron2's COCO evaluator.

    Unlike with Detectron2's ``register_coco_instances``, damaged boxes are reported once and left
    out, and a file that the evaluator would read otherwise is refused.

    Args:
        name: what ``dataset.names`` of a config says.
        json_file: annotations in COCO's form.
        image_root: the folder that file names are relative to.
        class_names: in the order of the category ids, a list or its text in JSON; read from the
            file where left out.
        builtin: see :func:`register_dataset`.
    """
    json_file, image_root = Path(json_file), Path(image_root)
    metadata: dict[str, Any] = {"json_file": str(json_file), "image_root": str(image_root)}
    if class_names is not None:
        metadata["thing_classes"] = names_of_text(class_names)
    register_dataset(
        name,
        lambda: _load(json_file, image_root, name),
        builtin,
        evaluator_type="coco",
        **metadata,
    )


def _load(json_file: Path, image_root: Path, name: str) -> list[dict[str, Any]]:
    """The data set as Detectron2's ``load_coco_json`` gives it.

    Raises:
        DataError: a file that is not in COCO's form, images that are missing, other classes than
            the data set was registered with.
    """
    forget_folders()
    findings = Findings()
    split = Split(name, "COCO", json_file, image_root, "given")
    with without_garbage_collection():
        content = load_json(json_file, findings)
        if content is not None:
            read_coco(split, content, findings)
    find_images(split, findings)
    split.images.sort(key=lambda image: order(image.entry["id"]))
    labels = {key: i for i, key in enumerate(split.classes)}
    records = clean_records(split, findings, lambda box: _annotation(box, labels))
    _set_classes(name, split, labels)
    logger.info("%d images with their boxes from %s", len(records), json_file)
    return records


def _set_classes(name: str, split: Split, labels: dict[Any, int]) -> None:
    metadata = MetadataCatalog.get(name)
    classes = list(split.classes.values())
    known = metadata.get("thing_classes")
    if known and list(known) != classes:
        raise DataError(
            f"{split.file} has the classes {', '.join(classes)}, and data set {name!r} was "
            f"registered with {', '.join(known)}: the same names, in the order of their ids, are "
            "needed."
        )
    metadata.thing_classes = classes
    metadata.thing_dataset_id_to_contiguous_id = labels


def _annotation(box: Box, labels: dict[Any, int]) -> dict[str, Any]:
    entry = box.entry
    annotation = {
        "iscrowd": entry["iscrowd"],
        "bbox": entry["bbox"],
        "category_id": labels[entry["category_id"]],
        "bbox_mode": BoxMode.XYWH_ABS,
    }
    shape = entry.get("segmentation")
    if isinstance(shape, dict) and isinstance(shape.get("counts"), list):
        shape = mask.frPyObjects(shape, *shape["size"])
    elif isinstance(shape, list):
        shape = [polygon for polygon in shape if len(polygon) >= 6 and len(polygon) % 2 == 0]
    if shape:
        annotation["segmentation"] = shape
    if points := entry.get("keypoints"):  # of pixels, whose centre is half a pixel further
        annotation["keypoints"] = [v if i % 3 == 2 else v + 0.5 for i, v in enumerate(points)]
    return annotation
