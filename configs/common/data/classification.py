"""Loaders of a classification data set; names and sizes are set by the files that import this.

The calibration loader gives the images of the batch-norm statistics, where a search's fitness is
the accuracy: the training set at test size.
"""

from detectron2.config import LazyCall as L
from detectron2.data import get_detection_dataset_dicts
from omegaconf import OmegaConf

from detnas_d2.data import (
    ClassificationMapper,
    build_test_loader,
    build_train_loader,
    imagenet_test_augmentations,
    imagenet_train_augmentations,
)
from detnas_d2.evaluation import ClassificationEvaluator

dataloader = OmegaConf.create()

dataloader.train = L(build_train_loader)(
    dataset=L(get_detection_dataset_dicts)(names="imagenet_train", filter_empty=False),
    mapper=L(ClassificationMapper)(
        is_train=True, augmentations=L(imagenet_train_augmentations)(size=224)
    ),
    total_batch_size=1024,
    num_workers=8,
    seed="${train.seed}",
    aspect_ratio_grouping=False,
)
dataloader.calibration = L(build_train_loader)(
    dataset="${..train.dataset}",
    mapper=L(ClassificationMapper)(is_train=True, augmentations="${...test.mapper.augmentations}"),
    total_batch_size=64,
    num_workers=0,
    seed=0,  # always the same images, whatever seed trains or searches
    aspect_ratio_grouping=False,
)
dataloader.test = L(build_test_loader)(
    dataset=L(get_detection_dataset_dicts)(names="imagenet_val", filter_empty=False),
    mapper=L(ClassificationMapper)(
        is_train=False, augmentations=L(imagenet_test_augmentations)(size=224, resize=256)
    ),
    batch_size=64,
    num_workers=8,
)
dataloader.evaluator = L(ClassificationEvaluator)(dataset_name="${..test.dataset.names}")
