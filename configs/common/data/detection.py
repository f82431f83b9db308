"""Loaders of a detection data set; the data sets' names are set by the files that import this.

Everything the train loader yields is a function of (train.seed, step). The calibration loader
gives the images of the batch-norm statistics: the training set at test size, without flips.
"""

import detectron2.data.transforms as T
from detectron2.config import LazyCall as L
from detectron2.data import DatasetMapper, get_detection_dataset_dicts
from omegaconf import OmegaConf

from detnas_d2.data import build_test_loader, build_train_loader
from detnas_d2.evaluation import FastCOCOEvaluator

dataloader = OmegaConf.create()

dataloader.train = L(build_train_loader)(
    dataset=L(get_detection_dataset_dicts)(names="coco_2017_train"),
    mapper=L(DatasetMapper)(
        is_train=True,
        augmentations=[
            L(T.ResizeShortestEdge)(short_edge_length=800, max_size=1333),
            L(T.RandomFlip)(horizontal=True),
        ],
        image_format="BGR",
    ),
    total_batch_size=16,
    num_workers=4,
    seed="${train.seed}",
)
dataloader.calibration = L(build_train_loader)(
    dataset="${..train.dataset}",
    mapper=L(DatasetMapper)(
        is_train=True,
        augmentations="${...test.mapper.augmentations}",
        image_format="BGR",
    ),
    total_batch_size=2,
    num_workers=0,
    seed=0,  # always the same images, whatever seed trains or searches
)
dataloader.test = L(build_test_loader)(
    dataset=L(get_detection_dataset_dicts)(names="coco_2017_val", filter_empty=False),
    mapper=L(DatasetMapper)(
        is_train=False,
        augmentations=[L(T.ResizeShortestEdge)(short_edge_length=800, max_size=1333)],
        image_format="BGR",
    ),
    num_workers=4,
)
dataloader.evaluator = L(FastCOCOEvaluator)(dataset_name="${..test.dataset.names}", output_dir=None)
