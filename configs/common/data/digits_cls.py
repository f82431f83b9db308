"""Single handwritten digits over photographs, 64x64, for classification."""

from detectron2.config import LazyCall as L

from detnas_d2.data import RandomResizedCrop

from .classification import dataloader

dataloader.train.dataset.names = "digits_cls_train"
dataloader.test.dataset.names = "digits_cls_val"
# digits are neither mirrored nor told apart by colour
dataloader.train.mapper.augmentations = [L(RandomResizedCrop)(size=64, scale=(0.6, 1.0))]
dataloader.test.mapper.augmentations.size = 64
dataloader.test.mapper.augmentations.resize = 64
dataloader.train.total_batch_size = 32
dataloader.train.num_workers = 0
dataloader.test.num_workers = 0
