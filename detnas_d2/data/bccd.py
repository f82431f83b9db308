"""BCCD: 364 real microscope images of blood cells, in COCO, VOC and image-folder form."""

from __future__ import annotations

from pathlib import Path

from detectron2.data import DatasetCatalog

from detnas_d2.data.atomic import MARKER
from detnas_d2.data.catalog import datasets_root
from detnas_d2.data.coco import register_coco
from detnas_d2.data.crops import write_box_crops
from detnas_d2.data.imagefolder import register_image_folder
from detnas_d2.data.voc import register_voc_folder

BCCD_CLASSES = ("RBC", "WBC", "Platelets")
_SPLITS = ("train", "val", "test")
_CONTENTS = (
    "the public BCCD data set (MIT licence, github.com/Shenggan/BCCD_Dataset) with Annotations/, "
    "ImageSets/Main/, JPEGImages/ and, as COCO JSON, annotations/instances_{train,val,test}.json"
)


def bccd_root() -> Path:
    """$DETECTRON2_DATASETS/bccd; where that is not there, ../shared/data/bccd beside the
    repository, if that is."""
    root = datasets_root() / "bccd"
    shared = Path(__file__).resolve().parents[3] / "shared" / "data" / "bccd"
    return shared if shared.is_dir() and not root.is_dir() else root


def register_bccd(root: str | Path | None = None, *, is_default: bool = False) -> None:
    """Registers bccd_{train,val,test} (COCO form) and bccd_voc_{train,val,test} (VOC form).

    VOC's metric is that of 2012: with 2007's 11 points, the one box of val that has no area (and
    that the evaluator counts, reading the files itself) would take the last point from everyone.

    Args:
        root: the data set's folder; left out: ``bccd_root()``.
    """
    root = bccd_root() if root is None else Path(root)
    required = {root: _CONTENTS}
    for split in _SPLITS:
        register_coco(
            f"bccd_{split}",
            root / "annotations" / f"instances_{split}.json",
            root / "JPEGImages",
            class_names=BCCD_CLASSES,
            required=required,
            is_default=is_default,
        )
        register_voc_folder(
            f"bccd_voc_{split}",
            root,
            split,
            BCCD_CLASSES,
            2012,
            required=required,
            is_default=is_default,
        )


def write_bccd_boxes(root: str | Path | None = None) -> Path:
    """Cuts BCCD's own boxes out as a classification set (:func:`write_box_crops`).

    Args:
        root: left out: $DETECTRON2_DATASETS/bccd_boxes.
    """
    root = datasets_root() / "bccd_boxes" if root is None else Path(root)
    splits = {split: DatasetCatalog.get(f"bccd_{split}") for split in _SPLITS}
    return write_box_crops(root, splits, list(BCCD_CLASSES))


def register_bccd_boxes(root: str | Path | None = None, *, is_default: bool = False) -> None:
    """Registers bccd_boxes_{train,val,test}: RBC, WBC, Platelets and background, 64 x 64.

    Args:
        root: where :func:`write_bccd_boxes` made (or will make) the set.
    """
    root = datasets_root() / "bccd_boxes" if root is None else Path(root)
    required = {
        root / MARKER: "BCCD's boxes cut out as images; make them with: python -c 'from "
        f'detnas_d2.data import write_bccd_boxes; write_bccd_boxes("{root}")\''
    }
    for split in _SPLITS:
        register_image_folder(
            f"bccd_boxes_{split}", root, split, required=required, is_default=is_default
        )
