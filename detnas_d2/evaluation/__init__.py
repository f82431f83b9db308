"""Evaluation: batch-norm statistics of a path, classification accuracy, COCO's AP, fitness."""

from .batch_norm import calibrated
from .classification import ClassificationEvaluator
from .fast_coco import FastCOCOEvaluator
from .fitness import SupernetFitness, build_fitness, evaluate_images, set_memory_layout
from .images import SearchImages, load_images
from .metric import check_metric

__all__ = [
    "ClassificationEvaluator",
    "FastCOCOEvaluator",
    "SearchImages",
    "SupernetFitness",
    "build_fitness",
    "calibrated",
    "check_metric",
    "evaluate_images",
    "load_images",
    "set_memory_layout",
]
