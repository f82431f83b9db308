"""Classification sets in ImageNet's folder form: root/train/<class>/*, root/val/<class>/*."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import MetadataCatalog

from detnas_d2.data.catalog import datasets_root, first_of, register_dataset
from detnas_d2.data.errors import DataError, MissingDatasetError
from detnas_d2.data.seeding import derive_seed

_SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".webp"}
_FORM = (
    "an image folder in ImageNet's form: train/<class>/*.JPEG and val/<class>/*.JPEG, the same "
    "class folders (ImageNet: n01440764 ...) in both"
)
_HOLD_OUT = 13  # purpose of a derived seed
_SEARCH_SHARE = 25  # one in so many training images is held out for the search


def load_image_folder(root: str | Path, split: str) -> list[dict[str, Any]]:
    """Lists root/<split>/<class>/<image>, sorted.

    The classes are the sorted folder names of root/train, whatever the split.

    Returns:
        {"file_name", "category_id", "image_id"} for each image; image_id is the path below root.

    Raises:
        MissingDatasetError: root/train or root/<split> is not there.
        DataError: no classes, an empty class, or a split with other classes than train.
    """
    root = Path(root)
    classes = image_folder_classes(root)
    found = _class_folders(root, split)
    if found != classes:
        lacking, extra = sorted(set(classes) - set(found)), sorted(set(found) - set(classes))
        raise DataError(
            f"{root / split} has other class folders than {root / 'train'}: it lacks "
            f"{_shorten(lacking)} and has besides {_shorten(extra)}."
        )
    records = []
    for category_id, name in enumerate(classes):
        with os.scandir(root / split / name) as entries:
            files = sorted(
                entry.name
                for entry in entries
                if Path(entry.name).suffix.lower() in _SUFFIXES and not entry.name.startswith(".")
            )
        if not files:
            raise DataError(
                f"The class folder {root / split / name} holds no image "
                f"({', '.join(sorted(_SUFFIXES))})."
            )
        records += [
            {
                "file_name": str(root / split / name / file),
                "category_id": category_id,
                "image_id": f"{split}/{name}/{file}",
            }
            for file in files
        ]
    return records


def image_folder_classes(root: str | Path) -> list[str]:
    """The class names of an image folder: the sorted folder names of root/train."""
    return _class_folders(Path(root), "train")


def _class_folders(root: Path, split: str) -> list[str]:
    folder = root / split
    if not folder.is_dir():
        raise MissingDatasetError(
            f"There is no folder {folder.absolute()}. {root} has to be {_FORM}."
        )
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise DataError(f"{folder} holds no class folders. {root} has to be {_FORM}.")
    return names


def _shorten(names: list[str]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def register_image_folder(
    name: str,
    root: str | Path,
    split: str,
    *,
    held_out: bool | None = None,
    required: dict[Path, str] | None = None,
    is_default: bool = False,
) -> None:
    """Registers one split of an image folder; its class names are known once it is loaded.

    Args:
        held_out: True for one image in 25 of each class (`held_out_split`, seed 0), False for the
            others, None for all.
        required: what has to exist, beyond the two folders.
    """
    root = Path(root)

    def load() -> list[dict[str, Any]]:
        records = load_image_folder(root, split)
        if held_out is not None:
            records = held_out_split(records, of=_SEARCH_SHARE, held_out=held_out)
        MetadataCatalog.get(name).thing_classes = image_folder_classes(root)
        return records

    register_dataset(
        name,
        load,
        required=first_of(required or {}, {root / "train": _FORM, root / split: _FORM}),
        is_default=is_default,
        evaluator_type="classification",
        root=str(root),
        split=split,
        held_out=held_out,
    )


def register_imagenet(root: str | Path | None = None, *, is_default: bool = False) -> None:
    """Registers imagenet_{train,val} and imagenet_detnas_{supernet,search}, parts of train.

    The search for a classification network (ClsNASNet, DetNAS table 4) scores candidates on
    images that the supernet was not trained on and that are no test images: one in 25 of each
    class, about 51,000 of 1.28 million. Which these are is a function of the file names.

    Args:
        root: ImageNet's folder; left out: $DETECTRON2_DATASETS/imagenet.
    """
    root = datasets_root() / "imagenet" if root is None else Path(root)
    for split in ("train", "val"):
        register_image_folder(f"imagenet_{split}", root, split, is_default=is_default)
    for part in ("supernet", "search"):
        register_image_folder(
            f"imagenet_detnas_{part}",
            root,
            "train",
            held_out=part == "search",
            is_default=is_default,
        )


def held_out_split(
    dataset: list[dict[str, Any]], *, of: int, held_out: bool
) -> list[dict[str, Any]]:
    """One ``of``-th of a classification set, or the rest of it; each class is split alike.

    Which images are held out is a function of the class and of their order in `dataset`.

    Args:
        dataset: dicts with "category_id", in a fixed order.
        held_out: True gives the part, False everything else.

    Raises:
        DataError: the part, or the rest, is without images.
    """
    labels = np.array([record["category_id"] for record in dataset], dtype=np.int64)
    chosen = np.zeros(len(dataset), dtype=bool)
    for label in np.unique(labels):
        rng = np.random.default_rng(derive_seed(0, _HOLD_OUT, int(label)))
        chosen[rng.permutation(np.flatnonzero(labels == label))[::of]] = True
    records = [r for r, c in zip(dataset, chosen, strict=True) if bool(c) == held_out]
    if not records:
        raise DataError(
            f"one image in {of} of each class, out of {len(dataset)} images, leaves no image with "
            f"held_out={held_out}: choose another `of`."
        )
    return records
