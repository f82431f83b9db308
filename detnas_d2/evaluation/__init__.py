"""Evaluation: batch-norm statistics of a path, classification accuracy, COCO's AP, fitness."""

from .batch_norm import calibrated
from .classification import ClassificationEvaluator
from .fast_coco import FastCOCOEvaluator
from .fitness import SupernetFitness, build_fitness, evaluate_images
from .images import SearchImages, load_images

__all__ = [
    "ClassificationEvaluator",
    "FastCOCOEvaluator",
    "SearchImages",
    "SupernetFitness",
    "build_fitness",
    "calibrated",
    "evaluate_images",
    "load_images",
]
