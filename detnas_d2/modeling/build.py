"""What yacs configs name: registered backbones and a box head, and the keys they read."""

from __future__ import annotations

import math
from typing import Any

import detectron2.config
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, FPN
from detectron2.modeling.backbone.fpn import LastLevelMaxPool, LastLevelP6P7
from detectron2.modeling.roi_heads import ROI_BOX_HEAD_REGISTRY, FastRCNNConvFCHead

from ..space import SearchSpace, SpaceError
from ..space_file import load_space
from .backbone import RES2_TO_RES5, StagedBackbone
from .errors import ModelError
from .network import StandAloneNetwork
from .norm import Norm
from .supernet import Supernet


def add_detnas_config(cfg: CfgNode) -> None:
    """Add the keys of `cfg.MODEL.DETNAS`; a config that has them is left as it is."""
    if "DETNAS" in cfg.MODEL:
        return
    node = cfg.MODEL.DETNAS = CfgNode()
    # Name of a search space (300m, 1.3g, 3.8g, demo), or a config file that has a `space`.
    node.SPACE = "300m"
    # For the fixed networks: 2,1,2,0,... or a list, or the path of a best_architecture.json.
    # None, because yacs then takes either type.
    node.ARCHITECTURE = None
    # Norm of the backbone's layers.
    node.NORM = "SyncBN"
    # Momentum of it, of MODEL.FPN.NORM and of DetNASConvFCHead's norm: 0.1 in the supernet, 0.01
    # in the final net.
    node.NORM_MOMENTUM = 0.1
    # What RetinaNet computes P6 from: "res5", as Detectron2, or "p5" (the last of
    # MODEL.FPN.IN_FEATURES and its level). "" is the former, also in spaces of fewer stages.
    node.P6_FROM = ""
    node.OUT_FEATURES = list(RES2_TO_RES5)
    # The rest is read by META_ARCHITECTURE "Classifier" alone.
    node.NUM_CLASSES = 1000
    node.LAST_CHANNELS = 1024
    node.DROPOUT = 0.2
    node.LABEL_SMOOTHING = 0.1


def get_cfg() -> CfgNode:
    """Detectron2's ``get_cfg`` with the keys of `add_detnas_config`.

    A yacs project that imports this one in its place can name all that is registered here.
    """
    cfg = detectron2.config.get_cfg()
    add_detnas_config(cfg)
    return cfg


@BACKBONE_REGISTRY.register()
def build_detnas_supernet_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Supernet:
    """The supernet alone; a path has to be set before it runs."""
    return Supernet(_space(cfg), **_common(cfg, input_shape))


@BACKBONE_REGISTRY.register()
def build_detnas_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> StandAloneNetwork:
    """The stand-alone network of MODEL.DETNAS.ARCHITECTURE."""
    architecture = cfg.MODEL.DETNAS.ARCHITECTURE
    if not architecture:
        raise ModelError(
            "MODEL.DETNAS.ARCHITECTURE is not set; expected 2,1,2,0,... or the path of a "
            "best_architecture.json (or take a supernet backbone as MODEL.BACKBONE.NAME)"
        )
    return StandAloneNetwork(_space(cfg), architecture, **_common(cfg, input_shape))


@BACKBONE_REGISTRY.register()
def build_detnas_supernet_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """The supernet with the FPN of Faster R-CNN."""
    return _fpn(cfg, build_detnas_supernet_backbone(cfg, input_shape))


@BACKBONE_REGISTRY.register()
def build_detnas_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """The stand-alone network with the FPN of Faster R-CNN."""
    return _fpn(cfg, build_detnas_backbone(cfg, input_shape))


@BACKBONE_REGISTRY.register()
def build_retinanet_detnas_supernet_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """The supernet with the FPN of RetinaNet."""
    return _fpn(cfg, build_detnas_supernet_backbone(cfg, input_shape), retinanet=True)


@BACKBONE_REGISTRY.register()
def build_retinanet_detnas_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """The stand-alone network with the FPN of RetinaNet."""
    return _fpn(cfg, build_detnas_backbone(cfg, input_shape), retinanet=True)


@ROI_BOX_HEAD_REGISTRY.register()
class DetNASConvFCHead(FastRCNNConvFCHead):
    """Detectron2's FastRCNNConvFCHead, its norm with the momentum MODEL.DETNAS.NORM_MOMENTUM."""

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: ShapeSpec) -> dict[str, Any]:
        arguments: dict[str, Any] = super().from_config(cfg, input_shape)
        return {**arguments, "conv_norm": _norm(cfg, cfg.MODEL.ROI_BOX_HEAD.NORM)}


def _fpn(cfg: CfgNode, bottom_up: StagedBackbone, *, retinanet: bool = False) -> FPN:
    stage, out_channels = cfg.MODEL.FPN.IN_FEATURES[-1], cfg.MODEL.FPN.OUT_CHANNELS
    shape = bottom_up.output_shape()[stage]
    level = f"p{int(math.log2(shape.stride))}"  # of that stage: p5, but for spaces of fewer stages
    channels = {stage: shape.channels, level: out_channels}
    source = cfg.MODEL.DETNAS.P6_FROM or stage
    if retinanet and source not in channels:
        raise ModelError(
            f"MODEL.DETNAS.P6_FROM is {source!r}; expected {stage!r} (the backbone's last stage, "
            f"which an empty string is too) or {level!r} (the FPN's level of it)"
        )
    if retinanet:
        top = LastLevelP6P7(channels[source], out_channels, in_feature=source)
    else:
        top = LastLevelMaxPool()
        top.in_feature = level
    return FPN(
        bottom_up=bottom_up,
        in_features=cfg.MODEL.FPN.IN_FEATURES,
        out_channels=out_channels,
        norm=_norm(cfg, cfg.MODEL.FPN.NORM),
        top_block=top,
        fuse_type=cfg.MODEL.FPN.FUSE_TYPE,
    )


def _common(cfg: CfgNode, input_shape: ShapeSpec) -> dict[str, Any]:
    return {
        "norm": _norm(cfg, cfg.MODEL.DETNAS.NORM),
        "out_features": cfg.MODEL.DETNAS.OUT_FEATURES,
        "input_channels": input_shape.channels,
    }


def _norm(cfg: CfgNode, name: str) -> Norm | str:
    """The norm of this name with the config's momentum; "" stays what Detectron2 takes for none."""
    return Norm(name, cfg.MODEL.DETNAS.NORM_MOMENTUM) if name else ""


def _space(cfg: CfgNode) -> SearchSpace:
    try:
        # whoever filled the cfg answers for it: `merge_yacs_file` looks at files from elsewhere
        return load_space(cfg.MODEL.DETNAS.SPACE, trust=True)
    except SpaceError as error:
        raise SpaceError(f"MODEL.DETNAS.SPACE: {error}") from error
