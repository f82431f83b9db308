"""Handwritten digits over photographs, 128x128, in COCO form. The search never sees the test split."""

from .detection import dataloader

dataloader.train.dataset.names = "digits_train"
dataloader.test.dataset.names = "digits_val"
dataloader.final_test = "digits_test"
dataloader.train.mapper.augmentations = [dataloader.train.mapper.augmentations[0]]  # no flips
for mapper in (dataloader.train.mapper, dataloader.test.mapper):
    mapper.augmentations[0].short_edge_length = 128
    mapper.augmentations[0].max_size = 128
dataloader.train.total_batch_size = 8
dataloader.train.num_workers = 0
dataloader.calibration.total_batch_size = 8
dataloader.test.batch_size = 10
dataloader.test.num_workers = 0
