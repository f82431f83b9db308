"""COCO for supernet and search: both come out of train2017, the search's 5k images apart.

val2017 is the paper's minival, the test set: neither supernet nor search sees it.
"""

from .detection import dataloader

dataloader.train.dataset.names = "coco_2017_detnas_supernet"
dataloader.test.dataset.names = "coco_2017_detnas_search"
