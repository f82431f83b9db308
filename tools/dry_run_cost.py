"""A config's network at full size on the meta device: that its parts fit, and what it costs."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.config import instantiate
from detectron2.modeling import GeneralizedRCNN, RetinaNet
from dry_run_step import reads_architecture
from omegaconf import DictConfig
from torch import nn

from detnas_d2.driver import build_algorithm, build_limit
from detnas_d2.engine import ConfigError, backbone_key, backbone_node
from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.modeling import Classifier, find_backbone, find_supernet
from detnas_d2.space import Architecture, CostTable, resolve_space

PUBLISHED = {
    "detnasnet_coco_fpn_300m": (288_082_368, 0),
    "detnasnet_coco_retinanet_300m": (291_205_824, 0),
    "detnasnet_voc_fpn_300m": (316_387_904, 0),
    "detnasnet_voc_retinanet_300m": (327_489_344, 0),
    "detnasnet_coco_fpn_1_3g": (1_269_181_536, 0),
    "detnasnet_coco_fpn_3_8g": (3_937_832_864, 0),
    "shufflenetv2_20": (262_705_856, 0),
    # Table 3 gives it 1.3G; by the rule of the other figures it is this
    "shufflenetv2_40": (1_036_681_632, 0),
    "resnet_50": (3.8e9, 0.02),
    "resnet_101": (7.6e9, 0.02),
    "detnet_59": (4.8e9, 0.02),
}
"""Multiply-adds of the fixed networks, and by what part ours may differ."""
_SIZE = re.compile(r"_(\d+(?:_\d+)?)([mg])$")  # ..._300m, ..._1_3g


@dataclass(frozen=True)
class Report:
    """What is printed of a config: kind of run, network, and millions of multiply-adds."""

    kind: str
    network: str
    cost: str


def check_full_size(cfg: DictConfig, kind: str, name: str) -> Report:
    """Build it on the meta device, fit its parts together, and compare its cost with its name."""
    cfg = cfg.copy()
    bottom = backbone_node(cfg)
    searched = reads_architecture(bottom)
    if searched:
        bottom.architecture = str(CostTable(resolve_space(instantiate(bottom.space))).cheapest())
    network = build_full_size(cfg)
    architecture, flops = network.architecture, network.flops
    if architecture is None:
        check_published(name, flops)
        return Report(kind, network.backbone, f"{flops / 1e6:.0f}")
    space = architecture.space
    cost = CostTable(space)
    if cost.flops(architecture) != flops:
        raise ConfigError(f"CostTable and network differ at {architecture}: {flops:,}")
    if "path_sampler" in cfg and instantiate(cfg.path_sampler).space != space:
        raise ConfigError("model and path_sampler have different spaces")
    if kind == "search":
        build_algorithm(cfg, space, build_limit(cfg, space)[1])  # they raise what can't work
        limit = cfg.search.flops_limit
        if limit is None:
            return Report(kind, f"{space.name} supernet", "no limit")
        check_size(name, limit * 0.9, limit * 1.1, "the search's limit, give or take a tenth,")
        return Report(kind, f"{space.name} supernet", f"<= {limit / 1e6:.0f}")
    if searched or network.is_supernet:
        check_size(name, cost.min_flops, cost.max_flops, f"space {space.name!r}")
        what = "supernet" if network.is_supernet else "searched"
        return Report(kind, f"{space.name} {what}", spread(cost))
    check_published(name, flops)
    return Report(kind, f"{space.name} fixed", f"{flops / 1e6:.0f}")


@dataclass(frozen=True)
class Network:
    """A backbone as it was built, and the multiply-adds counted in `architecture` of it.

    Args:
        architecture: None of a network that is in no space.
    """

    backbone: str
    architecture: Architecture | None
    is_supernet: bool
    flops: int


_networks: dict[str, Network] = {}


def build_full_size(cfg: DictConfig) -> Network:
    """Build the model on the meta device and fit its parts together; once for equal ones."""
    key = config_hash(cfg, ["model"])
    if key not in _networks:
        with torch.device("meta"):
            model = instantiate(cfg.model).eval()
        supernet = find_supernet(model)
        if supernet is not None:
            supernet.set_path(CostTable(supernet.space).cheapest())
        bottom = model.get_submodule(backbone_key(cfg).partition(".")[2])
        try:
            flops = check_fit(model, bottom)
        except RuntimeError as e:
            raise ConfigError(f"model: its parts do not fit together at full size: {e}") from e
        _, ours = find_backbone(model) or ("", None)
        _networks[key] = Network(
            backbone=type(bottom).__name__,
            architecture=supernet.path if supernet else ours.architecture if ours else None,
            is_supernet=supernet is not None,
            flops=flops,
        )
    return _networks[key]


def spread(cost: CostTable) -> str:
    """The range of a space in millions."""
    return f"{cost.min_flops / 1e6:.0f}-{cost.max_flops / 1e6:.0f}"


def check_size(name: str, low: float, high: float, what: str) -> None:
    """The figure in a name such as fpn_300m or fpn_1_3g lies in the range."""
    match = _SIZE.search(f"_{name}")
    if match:
        figure = float(match[1].replace("_", ".")) * {"m": 1e6, "g": 1e9}[match[2]]
        if not low <= figure <= high:
            raise ConfigError(
                f"the name says {figure / 1e6:,.0f}M multiply-adds; {what} has from "
                f"{low / 1e6:,.0f}M to {high / 1e6:,.0f}M"
            )


def check_published(name: str, flops: int) -> None:
    """A fixed network has its published number of multiply-adds."""
    known = [figure for key, figure in PUBLISHED.items() if name.startswith(key)]
    if not known:
        raise ConfigError(f"no published figure for {name!r}; known are {', '.join(PUBLISHED)}")
    figure, tolerance = known[0]
    if abs(flops / figure - 1) > tolerance:
        raise ConfigError(f"{flops:,} multiply-adds; published for {name!r}: {figure:,.0f}")


def check_fit(model: nn.Module, bottom: nn.Module) -> int:
    """Run backbone, FPN and heads at 224x224 on meta tensors, and compare strides.

    Returns:
        multiply-adds of the convolutions of `bottom`.
    """
    image = torch.empty(3, 224, 224, device="meta")
    with torch.no_grad(), counting(bottom) as flops:
        if isinstance(model, Classifier):
            model([{"image": image}])
            return sum(flops)
        if not isinstance(model, GeneralizedRCNN | RetinaNet):
            raise ConfigError(
                f"model is a {type(model).__name__}; what is tried here is a Classifier, a "
                "GeneralizedRCNN or a RetinaNet"
            )
        features = model.backbone(image[None])
        if isinstance(model, GeneralizedRCNN):
            rpn, heads = model.proposal_generator, model.roi_heads
            levels, anchors = rpn.in_features, rpn.anchor_generator
            rpn.rpn_head([features[f] for f in levels])
            channels = features[heads.box_in_features[0]].shape[1]
            pooled = image.new_empty(2, channels, *heads.box_pooler.output_size)
            heads.box_predictor(heads.box_head(pooled))
            strides = [1 / pooler.spatial_scale for pooler in heads.box_pooler.level_poolers]
            compare_strides("roi_heads.box_pooler", strides, model.backbone, heads.box_in_features)
        else:
            levels, anchors = model.head_in_features, model.anchor_generator
            model.head([features[f] for f in levels])
    compare_strides("anchor_generator", anchors.strides, model.backbone, levels)
    return sum(flops)


def compare_strides(key: str, strides: list[float], backbone: Any, levels: list[str]) -> None:
    """Raise ConfigError unless what stands on the levels assumes their strides."""
    expected = [backbone.output_shape()[level].stride for level in levels]
    if list(strides) != expected:
        raise ConfigError(f"{key} is for strides {list(strides)}; the backbone has {expected}")


@contextlib.contextmanager
def counting(network: nn.Module) -> Iterator[list[int]]:
    """Multiply-adds of each convolution that runs meanwhile: weights times output positions."""
    flops: list[int] = []

    def count(conv: nn.Conv2d, inputs: Any, output: torch.Tensor) -> None:
        flops.append(conv.weight.numel() * math.prod(output.shape[2:]))

    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    handles = [m.register_forward_hook(count) for m in convs]
    try:
        yield flops
    finally:
        for handle in handles:
            handle.remove()


def check_yacs_model(model: nn.Module, name: str) -> Report:
    """The same of a model that a yacs config built on the meta device.

    Of the fixed networks, those named after a size are the published ones for COCO.
    """
    found = find_backbone(model)
    if found is None:
        raise ConfigError(f"the backbone is none of DetNAS: {type(model).__name__}")
    _, backbone = found
    space, cost = backbone.space, CostTable(backbone.space)
    supernet = find_supernet(model)
    if supernet is not None:
        supernet.set_path(cost.cheapest())
    flops = check_fit(model, backbone)
    check_size(name, cost.min_flops, cost.max_flops, f"space {space.name!r}")
    if supernet is not None:
        return Report("yacs", f"{space.name} supernet", spread(cost))
    if _SIZE.search(name):
        check_published(name.replace("detnasnet_", "detnasnet_coco_"), flops)
    return Report("yacs", f"{space.name} fixed", f"{flops / 1e6:.0f}")
