"""VOC 07+12 for supernet and search: both come out of the two trainvals, the search's 5k images
apart. Neither sees test2007."""

from .voc import dataloader

dataloader.train.dataset.names = "voc_0712_detnas_supernet"
dataloader.test.dataset.names = "voc_0712_detnas_search"
