"""The backbone as timm's `features_only` gives one: image in, list of feature maps out."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from detectron2.layers import ShapeSpec
from torch import nn

from ..engine import DetNASCheckpointer
from ..modeling import StandAloneNetwork, find_backbone
from ..modeling.norm import NormFactory
from ..space import Architecture, SearchSpace
from ..space_file import load_space
from .checkpoints import stated_architecture
from .errors import ExportError
from .trained import load_trained


class FeatureInfo:
    """What the feature maps are like, as timm's class of this name; in the order of the output."""

    def __init__(self, shapes: Mapping[str, ShapeSpec]) -> None:
        self._shapes = dict(shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def channels(self) -> list[int]:
        """Channels of each feature map."""
        return [shape.channels for shape in self._shapes.values()]

    def reduction(self) -> list[int]:
        """Stride of each feature map: pixels of the image for one of its own."""
        return [shape.stride for shape in self._shapes.values()]

    def module_name(self) -> list[str]:
        """The stage that each feature map is the output of: res2, res3, …"""
        return list(self._shapes)


class FeatureExtractor(nn.Module):
    """A stand-alone network that returns the outputs of its stages as a list.

    Args:
        backbone: the network, with which it shares the weights.
        out_indices: which stages, from 0 on (negative: from the last); left out: all.

    Attributes:
        feature_info: channels and strides of what `forward` returns.

    Raises:
        ExportError: a stage that is not there.
    """

    def __init__(
        self, backbone: StandAloneNetwork, out_indices: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        names = backbone.space.stage_names
        count = len(names)
        indices = list(range(count)) if out_indices is None else list(out_indices)
        if not indices or any(not -count <= i < count for i in indices):
            raise ExportError(
                f"out_indices is {out_indices}; expected one or more of 0 to {count - 1}, the "
                f"stages {', '.join(names)}"
            )
        self.indices = sorted({i % count for i in indices})
        self.backbone = copy.copy(backbone)  # a detector may want other features of it
        self.backbone._out_features = [names[i] for i in self.indices]
        self.feature_info = FeatureInfo(self.backbone.output_shape())

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(N, 3, H, W) -> a list of (N, C, ceil(H / stride), ceil(W / stride))."""
        return list(self.backbone(x).values())


def create_backbone(
    source: str | Path | SearchSpace,
    architecture: Architecture | Sequence[int] | str | None = None,
    *,
    pretrained: str | Path | None = None,
    norm: str | NormFactory = "BN",
    out_indices: Sequence[int] | None = None,
    trust: bool = False,
) -> FeatureExtractor:
    """A found backbone as a feature extractor.

    It takes images as its training did: those of this project's configs BGR, from 0 to 255.

    Args:
        source: the output folder of a training, or a space: its name (300m, 1.3g, 3.8g, demo), a
            LazyConfig file that has one, or a `SearchSpace`.
        architecture: with a space: in any form that `Architecture.parse` takes, such as
            "2,1,2,0,…" or the path of a best_architecture.json.
        pretrained: weights: a checkpoint of a training, or an exported state dict. With a folder:
            left out, its last checkpoint.
        norm: with a space: norm of all layers. A folder's network keeps its own.
        out_indices: which stages, see `FeatureExtractor`.
        trust: run whatever a folder's config names, such as blocks of one's own.

    Returns:
        the extractor, in eval mode where it has weights.

    Raises:
        TrustError: a config that names such, without `trust`.
        TrainedError, CheckpointError: a folder or weights that do not fit; a supernet's.
        SpaceError, ArchitectureError: an unknown space; not an architecture of the space.
    """
    if not isinstance(source, SearchSpace) and Path(source).is_dir():
        if architecture is not None:
            raise ExportError(
                f"{source} is a folder, whose checkpoint has its architecture; leave it out, or "
                "give a space with it"
            )
        return backbone_of(load_trained(source, pretrained, trust=trust).model, out_indices)
    if architecture is None:
        raise ExportError(
            f"{source} is no folder of a training, so it has to be a space with an architecture: "
            'create_backbone("300m", "2,1,2,0,…")'
        )
    space = source if isinstance(source, SearchSpace) else load_space(str(source), trust=trust)
    backbone = StandAloneNetwork(space, architecture, norm=norm)
    if pretrained is not None:
        stated_architecture(Path(pretrained))  # refuses a supernet's
        DetNASCheckpointer(backbone).load(str(pretrained), checkpointables=[])
    return FeatureExtractor(backbone, out_indices).train(pretrained is None)


def backbone_of(model: nn.Module, out_indices: Sequence[int] | None = None) -> FeatureExtractor:
    """The feature extractor of a model's backbone; it shares the weights.

    Raises:
        ExportError: the model has no stand-alone network of a search space.
    """
    found = find_backbone(model)
    if found is None or not isinstance(found[1], StandAloneNetwork):
        raise ExportError(
            f"The model ({type(model).__name__}) has no network of a search space as its backbone; "
            "export the whole detector (--part detector)."
        )
    return FeatureExtractor(found[1], out_indices).train(model.training)
