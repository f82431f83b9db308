"""Evaluation: batch-norm statistics of a path, classification accuracy, COCO's AP, fitness."""

from .batch_norm import calibrated
from .classification import ClassificationEvaluator
from .fast_coco import FastCOCOEvaluator
from .fitness import CandidateFitness, SupernetFitness
from .images import SearchImages, load_images
from .inference import evaluate_images
from .short_training import ShortTraining

__all__ = [
    "CandidateFitness",
    "ClassificationEvaluator",
    "FastCOCOEvaluator",
    "SearchImages",
    "ShortTraining",
    "SupernetFitness",
    "calibrated",
    "evaluate_images",
    "load_images",
]
