"""BCCD in VOC form, scored by Detectron2's VOC evaluator."""

from detectron2.config import LazyCall as L
from detectron2.evaluation import PascalVOCDetectionEvaluator

from .bccd import dataloader

dataloader.train.dataset.names = "bccd_voc_train"
dataloader.test.dataset.names = "bccd_voc_val"
dataloader.final_test = "bccd_voc_test"
dataloader.evaluator = L(PascalVOCDetectionEvaluator)(dataset_name="${..test.dataset.names}")
