"""Classification sets in ImageNet's folder form: root/train/<class>/*, root/val/<class>/*."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from detectron2.data import MetadataCatalog

from detnas_d2.data.catalog import IMAGE_FOLDER, register_dataset
from detnas_d2.data.errors import DataError, MissingDatasetError
from detnas_d2.data.image_files import PHOTOGRAPHS
from detnas_d2.data.records import ImageRecords
from detnas_d2.data.seeding import derive_seed

_HOLD_OUT = 13  # purpose of a derived seed
_SEARCH_SHARE = 25  # one in so many training images is held out for the search


def load_image_folder(
    root: str | Path, split: str, *, held_out: bool | None = None
) -> ImageRecords:
    """Lists root/<split>/<class>/<image>, sorted.

    The classes are the sorted folder names of root/train, whatever the split.

    Args:
        held_out: True for one image in 25 of each class, False for the others, None for all. Which
            these are is a function of the class's number and of its files' order.

    Returns:
        {"file_name", "category_id", "image_id"} for each image; image_id is the path below root.

    Raises:
        MissingDatasetError: root/train or root/<split> is not there.
        DataError: no classes, an empty class, or a split with other classes than train.
    """
    root = Path(root)
    classes = _class_folders(root, "train")
    found = _class_folders(root, split)
    if found != classes:
        lacking, extra = set(classes) - set(found), set(found) - set(classes)
        raise DataError(
            f"{root / split} has other class folders than {root / 'train'}: it lacks "
            f"{_shorten(lacking)} and has besides {_shorten(extra)}."
        )
    files = (_files(root, f"{split}/{name}", i, held_out) for i, name in enumerate(classes))
    return ImageRecords(root, files)


def _files(root: Path, folder: str, label: int, held_out: bool | None) -> list[str]:
    names = (name for name in os.listdir(root / folder) if not name.startswith("."))
    files = sorted(f"{folder}/{name}" for name in names if name.lower().endswith(PHOTOGRAPHS))
    if not files:
        suffixes = ", ".join(PHOTOGRAPHS)
        raise DataError(f"The class folder {root / folder} holds no image ({suffixes}).")
    if held_out is None:
        return files
    rng = np.random.default_rng(derive_seed(0, _HOLD_OUT, label))
    chosen = set(rng.permutation(len(files))[::_SEARCH_SHARE].tolist())
    return [file for i, file in enumerate(files) if (i in chosen) == held_out]


def _class_folders(root: Path, split: str) -> list[str]:
    folder = root / split
    if not folder.is_dir():
        raise MissingDatasetError(
            f"There is no folder {folder.absolute()}. {root} has to be {IMAGE_FOLDER}."
        )
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise DataError(f"{folder} holds no class folders. {root} has to be {IMAGE_FOLDER}.")
    return names


def _shorten(names: set[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(sorted(names)[:5]) + more or "none"


def register_image_folder(
    name: str,
    root: str | Path,
    split: str,
    *,
    held_out: bool | None = None,
    builtin: Mapping[Path, str] | None = None,
) -> None:
    """Registers one split of an image folder; its class names are known once it is loaded.

    Args:
        held_out: see `load_image_folder`.
        builtin: see :func:`register_dataset`.
    """
    root = Path(root)

    def load() -> ImageRecords:
        records = load_image_folder(root, split, held_out=held_out)
        MetadataCatalog.get(name).thing_classes = _class_folders(root, "train")
        return records

    register_dataset(
        name,
        load,
        builtin,
        evaluator_type="classification",
        root=str(root),
        split=split,
        held_out=held_out,
    )
