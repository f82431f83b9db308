"""Networks: choice blocks, supernet, stand-alone network, classifier, weights between them.

Importing it registers the backbones and the classifier with Detectron2.
"""

from .backbone import StagedBackbone
from .blocks import ConvNorm, ShuffleBlock, build_block
from .build import add_detnas_config, get_cfg
from .classifier import Classifier
from .detnet import DetNet, PyramidROIPooler
from .detnet_fpn import DetNetFPN
from .errors import WeightsError
from .finding import find_backbone, find_supernet
from .folding import folded
from .module_choice import ModuleChoice
from .network import StandAloneNetwork
from .norm import LevelNorm, Norm
from .released import convert_released
from .released_state import Released, read_released
from .supernet import Supernet
from .weights import (
    backbone_prefix,
    concerns_classifier,
    describe,
    load_weights,
    slice_supernet,
)

__all__ = [
    "Classifier",
    "ConvNorm",
    "DetNet",
    "DetNetFPN",
    "LevelNorm",
    "ModuleChoice",
    "Norm",
    "PyramidROIPooler",
    "Released",
    "ShuffleBlock",
    "StandAloneNetwork",
    "StagedBackbone",
    "Supernet",
    "WeightsError",
    "add_detnas_config",
    "backbone_prefix",
    "build_block",
    "concerns_classifier",
    "convert_released",
    "describe",
    "find_backbone",
    "find_supernet",
    "folded",
    "get_cfg",
    "load_weights",
    "read_released",
    "slice_supernet",
]
