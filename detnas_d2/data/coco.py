"""Data sets in COCO's form, read by Detectron2 and cleaned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectron2.data.datasets import load_coco_json

from detnas_d2.data.annotations import drop_damaged_boxes
from detnas_d2.data.catalog import datasets_root, first_of, register_dataset
from detnas_d2.data.categories import names_of_text
from detnas_d2.data.coco_form import LARGEST, check_coco_file
from detnas_d2.data.errors import DataError
from detnas_d2.data.image_files import require_images

SPLIT_FILES = {"supernet": "instances_supernet.json", "search": "instances_search.json"}
"""The parts of COCO's training set that `python -m detnas_d2.data.splits` writes."""


def register_coco(
    name: str,
    json_file: str | Path,
    image_root: str | Path,
    *,
    class_names: Sequence[str] | str | None = None,
    required: dict[Path, str] | None = None,
    is_default: bool = False,
) -> None:
    """Registers a COCO JSON file for training and Detectron2's COCO evaluator.

    Unlike Detectron2's ``register_coco_instances``, damaged boxes are reported once and left out
    (:func:`drop_damaged_boxes`), a missing file says what has to lie there, and a second
    registration is handled alike on every version (:func:`register_dataset`).

    Args:
        class_names: in the order of the category ids, a list or its text in JSON; read from the
            file where left out.
        required: what has to exist, where that is more than the two paths.
    """
    json_file, image_root = Path(json_file), Path(image_root)
    metadata: dict[str, Any] = {"json_file": str(json_file), "image_root": str(image_root)}
    if class_names is not None:
        metadata["thing_classes"] = names_of_text(class_names)
    register_dataset(
        name,
        lambda: drop_damaged_boxes(_load(json_file, image_root, name), name),
        required=first_of(
            required or {},
            {
                json_file: "the annotations as a COCO JSON file",
                image_root: "the folder of the images that the JSON file names",
            },
        ),
        is_default=is_default,
        evaluator_type="coco",
        **metadata,
    )


def _load(json_file: Path, image_root: Path, name: str) -> list[dict[str, Any]]:
    """Detectron2's ``load_coco_json``, whose errors say what is wrong.

    Raises:
        DataError: a file that is not in COCO's form (`check_coco_file`), images that are missing,
            other classes than the data set was registered with.
    """
    if json_file.stat().st_size <= LARGEST:
        check_coco_file(json_file)
    try:
        records = load_coco_json(str(json_file), str(image_root), name)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        check_coco_file(json_file)
        raise DataError(
            f"{json_file} can't be read as data set {name!r} ({type(error).__name__}: {error}). "
            "Its categories may be others than those that the data set was registered with."
        ) from error
    require_images(name, (record["file_name"] for record in records))
    return records


def register_coco_splits(root: str | Path | None = None, *, is_default: bool = False) -> None:
    """Registers coco_2017_detnas_supernet and coco_2017_detnas_search, parts of train2017.

    COCO's 2017 lists are those of the paper: train2017 (118,287 images) is its trainval35k, train
    and val of 2014 without minival, and val2017 (5,000 images) is its minival, the test set. The
    search is scored on images that the supernet was not trained on and that are no test images.

    Args:
        root: COCO's folder; left out: $DETECTRON2_DATASETS/coco.
    """
    root = datasets_root() / "coco" if root is None else Path(root)
    images, annotations = root / "train2017", root / "annotations"
    command = (
        f"python -m detnas_d2.data.splits {annotations / 'instances_train2017.json'} "
        f"--search-images 5000 --seed 0 --out {annotations}"
    )
    for part, file in SPLIT_FILES.items():
        register_coco(
            f"coco_2017_detnas_{part}",
            annotations / file,
            images,
            required={
                images: "COCO's train2017 images (train2017.zip of cocodataset.org), and in "
                f"{annotations} its annotations (annotations_trainval2017.zip)",
                annotations / file: f"the {part} part of COCO's train2017; make it with: {command}",
            },
            is_default=is_default,
        )
