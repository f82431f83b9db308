"""Data: registered sets, the (seed, step) training stream, and mappers.

Importing this registers the built-in data sets, lazily: nothing is read before one is loaded.
"""

from __future__ import annotations

from detnas_d2.data.batch import ImageBatch
from detnas_d2.data.bccd import register_bccd, register_bccd_boxes, write_bccd_boxes
from detnas_d2.data.catalog import (
    MissingDataset,
    datasets_root,
    describe_missing,
    missing_datasets,
    register_dataset,
    unregister_dataset,
)
from detnas_d2.data.categories import categories_of, names_as_text
from detnas_d2.data.classification import (
    CenterCrop,
    ClassificationMapper,
    RandomResizedCrop,
    imagenet_test_augmentations,
    imagenet_train_augmentations,
)
from detnas_d2.data.coco import register_coco, register_coco_splits
from detnas_d2.data.crops import write_box_crops
from detnas_d2.data.digits import (
    DEMO_DIGITS,
    STUDY_DIGITS,
    DigitsParameters,
    register_digits,
    write_digits,
)
from detnas_d2.data.errors import DataError, ImageReadError, MissingDatasetError
from detnas_d2.data.evaluation_loader import build_test_loader
from detnas_d2.data.from_config import register_from_config
from detnas_d2.data.imagefolder import (
    load_image_folder,
    register_image_folder,
    register_imagenet,
)
from detnas_d2.data.loader import SeededMapDataset, build_train_loader
from detnas_d2.data.seeding import derive_seed, seeded
from detnas_d2.data.stream import StepBatchSampler
from detnas_d2.data.voc import (
    load_voc_folder,
    register_voc_0712_splits,
    register_voc_folder,
)

__all__ = [
    "DEMO_DIGITS",
    "STUDY_DIGITS",
    "CenterCrop",
    "ClassificationMapper",
    "DataError",
    "DigitsParameters",
    "ImageBatch",
    "ImageReadError",
    "MissingDataset",
    "MissingDatasetError",
    "RandomResizedCrop",
    "SeededMapDataset",
    "StepBatchSampler",
    "build_test_loader",
    "build_train_loader",
    "categories_of",
    "datasets_root",
    "derive_seed",
    "describe_missing",
    "imagenet_test_augmentations",
    "imagenet_train_augmentations",
    "load_image_folder",
    "load_voc_folder",
    "missing_datasets",
    "names_as_text",
    "register_bccd",
    "register_bccd_boxes",
    "register_builtin_datasets",
    "register_coco",
    "register_dataset",
    "register_digits",
    "register_from_config",
    "register_image_folder",
    "register_voc_folder",
    "seeded",
    "unregister_dataset",
    "write_bccd_boxes",
    "write_box_crops",
    "write_digits",
]


def register_builtin_datasets() -> None:
    """Registers bccd*, digits*, imagenet_*, coco_2017_detnas_* and voc_0712_detnas_*.

    They lie under $DETECTRON2_DATASETS. Nothing is read before a set is loaded. Called on import;
    call it again after the variable has changed. Names that were registered otherwise meanwhile
    stay as they are.
    """
    register_bccd(is_default=True)
    register_bccd_boxes(is_default=True)
    register_digits(is_default=True)
    register_coco_splits(is_default=True)
    register_voc_0712_splits(is_default=True)
    register_imagenet(is_default=True)


register_builtin_datasets()
