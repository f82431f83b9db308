"""BCCD's own boxes cut out as images of four classes (RBC, WBC, Platelets, background)."""

from .classification import dataloader

dataloader.train.dataset.names = "bccd_boxes_train"
dataloader.test.dataset.names = "bccd_boxes_val"
dataloader.train.mapper.augmentations.size = 64
dataloader.train.mapper.augmentations.scale = (0.5, 1.0)
dataloader.train.mapper.augmentations.jitter = 0.0  # the classes differ by colour
dataloader.test.mapper.augmentations.size = 64
dataloader.test.mapper.augmentations.resize = 64
dataloader.train.total_batch_size = 32
dataloader.train.num_workers = 0
dataloader.test.num_workers = 0
