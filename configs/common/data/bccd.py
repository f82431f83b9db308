"""BCCD in COCO form at 320x240, for a CPU. The search never sees the test split."""

from .detection import dataloader

dataloader.train.dataset.names = "bccd_train"
dataloader.test.dataset.names = "bccd_val"
dataloader.final_test = "bccd_test"
for mapper in (dataloader.train.mapper, dataloader.test.mapper):
    mapper.augmentations[0].short_edge_length = 240
    mapper.augmentations[0].max_size = 320
dataloader.train.total_batch_size = 4
dataloader.train.num_workers = 0
dataloader.calibration.total_batch_size = 4
dataloader.test.num_workers = 0
