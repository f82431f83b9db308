"""Networks outside of this project: feature extractors, and files that need none of its code."""

from .errors import ExportError, TrainedError
from .exporting import FORMATS, PARTS, Exported, export
from .features import FeatureExtractor, FeatureInfo, create_backbone
from .trained import Trained, load_trained

__all__ = [
    "FORMATS",
    "PARTS",
    "ExportError",
    "Exported",
    "FeatureExtractor",
    "FeatureInfo",
    "Trained",
    "TrainedError",
    "create_backbone",
    "export",
    "load_trained",
]
