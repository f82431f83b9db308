"""Networks: choice blocks, supernet, stand-alone network, classifier, weights between them.

Importing it registers the backbones and the classifier with Detectron2.
"""

from .backbone import ShuffleNetV2Base
from .blocks import ConvNorm, ShuffleBlock, build_block
from .build import add_detnas_config
from .classifier import Classifier
from .network import ShuffleNetV2
from .norm import Norm
from .supernet import ShuffleNetV2Supernet
from .weights import (
    WeightsError,
    describe,
    find_backbone,
    find_supernet,
    load_weights,
    slice_supernet,
)

__all__ = [
    "Classifier",
    "ConvNorm",
    "Norm",
    "ShuffleBlock",
    "ShuffleNetV2",
    "ShuffleNetV2Base",
    "ShuffleNetV2Supernet",
    "WeightsError",
    "add_detnas_config",
    "build_block",
    "describe",
    "find_backbone",
    "find_supernet",
    "load_weights",
    "slice_supernet",
]
