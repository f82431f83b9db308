"""Networks: choice blocks, supernet, stand-alone network, classifier, weights between them.

Importing it registers the backbones and the classifier with Detectron2.
"""

from .backbone import StagedBackbone, find_backbone
from .blocks import ConvNorm, ShuffleBlock, build_block
from .build import add_detnas_config, get_cfg
from .classifier import Classifier
from .errors import WeightsError
from .folding import folded
from .measuring import ModuleChoice
from .network import StandAloneNetwork
from .norm import LevelNorm, Norm
from .state_dicts import Stated, slice_supernet, stated_network
from .supernet import Supernet, find_supernet, require_supernet
from .weights import (
    backbone_prefix,
    concerns_classifier,
    describe,
    load_weights,
)

# the names in a config.yaml of runs before they were changed
ShuffleNetV2, ShuffleNetV2Supernet = StandAloneNetwork, Supernet

__all__ = [
    "Classifier",
    "ConvNorm",
    "LevelNorm",
    "ModuleChoice",
    "Norm",
    "ShuffleBlock",
    "StandAloneNetwork",
    "StagedBackbone",
    "Stated",
    "Supernet",
    "WeightsError",
    "add_detnas_config",
    "backbone_prefix",
    "build_block",
    "concerns_classifier",
    "describe",
    "find_backbone",
    "find_supernet",
    "folded",
    "get_cfg",
    "load_weights",
    "require_supernet",
    "slice_supernet",
    "stated_network",
]
