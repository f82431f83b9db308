"""Data: registered sets, the (seed, step) training stream, and mappers.

Importing this registers the built-in data sets, lazily: nothing is read before one is loaded.
"""

from __future__ import annotations

from detnas_d2.data.builtin import register_builtin_datasets, write_bccd_boxes
from detnas_d2.data.catalog import (
    datasets_root,
    describe_missing,
    missing_datasets,
    register_dataset,
    register_from_config,
    unregister_dataset,
)
from detnas_d2.data.categories import categories_of, names_as_text
from detnas_d2.data.classification import (
    CenterCrop,
    ClassificationMapper,
    ImageBatch,
    RandomResizedCrop,
    imagenet_test_augmentations,
    imagenet_train_augmentations,
)
from detnas_d2.data.coco import register_coco
from detnas_d2.data.digits import (
    DEMO_DIGITS,
    STUDY_DIGITS,
    TABLE_DIGITS,
    DigitsParameters,
    write_digits,
)
from detnas_d2.data.errors import DataError, ImageReadError, MissingDatasetError
from detnas_d2.data.imagefolder import load_image_folder, register_image_folder
from detnas_d2.data.loader import build_test_loader, build_train_loader
from detnas_d2.data.seeding import derive_seed, seeded
from detnas_d2.data.stream import StepBatchSampler
from detnas_d2.data.voc import load_voc_folder, register_voc_folder

__all__ = [
    "DEMO_DIGITS",
    "STUDY_DIGITS",
    "TABLE_DIGITS",
    "CenterCrop",
    "ClassificationMapper",
    "DataError",
    "DigitsParameters",
    "ImageBatch",
    "ImageReadError",
    "MissingDatasetError",
    "RandomResizedCrop",
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
    "register_builtin_datasets",
    "register_coco",
    "register_dataset",
    "register_from_config",
    "register_image_folder",
    "register_voc_folder",
    "seeded",
    "unregister_dataset",
    "write_bccd_boxes",
    "write_digits",
]

register_builtin_datasets()
