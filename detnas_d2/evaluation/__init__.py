"""Evaluation: batch-norm statistics of a path, classification accuracy, fitness."""

from .batch_norm import calibrated
from .classification import ClassificationEvaluator
from .fitness import SupernetFitness, build_fitness

__all__ = [
    "ClassificationEvaluator",
    "SupernetFitness",
    "build_fitness",
    "calibrated",
]
