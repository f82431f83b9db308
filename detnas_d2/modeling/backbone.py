"""What the supernet and the stand-alone network share: stem, stages, and the feature maps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from detectron2.modeling import Backbone
from torch import nn

from ..space import BlockSpec, SearchSpace, resolve_space
from .blocks import ConvNorm
from .errors import ModelError, WeightsError
from .norm import NormFactory, resolve_norm

RES2_TO_RES5 = ("res2", "res3", "res4", "res5")


class StagedBackbone(Backbone):
    """Stem and stages of a search space as a Detectron2 backbone.

    Stages are called res2, res3, ... as Detectron2 calls them; a space of four stages has res2 to
    res5 at strides 4 to 32. All stages are built, so that weights fit whatever `out_features` is;
    those after the last wanted one do not run.

    Args:
        space: a search space or the name of one.
        make_block: gives what stands at the block `space.blocks[position]`, called as
            make_block(position, block, norm).
        norm: norm of all layers, a name or a callable such as `Norm`.
        out_features: the stages whose output `forward` returns.
        input_channels: channels of the image.

    Raises:
        ValueError: an unknown space, norm or output feature.
    """

    def __init__(
        self,
        space: SearchSpace | str,
        make_block: Callable[[int, BlockSpec, NormFactory], nn.Module],
        *,
        norm: str | NormFactory = "BN",
        out_features: Sequence[str] = RES2_TO_RES5,
        input_channels: int = 3,
    ) -> None:
        super().__init__()
        self.space = resolve_space(space)
        norm = resolve_norm(norm)
        stem = replace(self.space.stem, in_channels=input_channels)
        self.stem = ConvNorm(stem, norm)
        stride = stem.stride
        self._out_feature_strides: dict[str, int] = {}
        self._out_feature_channels: dict[str, int] = {}
        for i, (name, stage) in enumerate(
            zip(self.space.stage_names, self.space.stages, strict=True)
        ):
            positions = [n for n, block in enumerate(self.space.blocks) if block.stage == i]
            blocks = (make_block(n, self.space.blocks[n], norm) for n in positions)
            self.add_module(name, nn.ModuleList(blocks))
            stride *= stage.stride
            self._out_feature_strides[name] = stride
            self._out_feature_channels[name] = stage.channels
        self._size_divisibility = stride
        self._out_features = _checked_features(out_features, self.space)

    @abstractmethod
    def _running(self) -> Iterable[tuple[str, Iterable[nn.Module]]]:
        """Stage names in order, each with the blocks that run."""

    @property
    def size_divisibility(self) -> int:
        """The total stride: height and width are padded to a multiple of it."""
        return self._size_divisibility

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """(N, input_channels, H, W) -> {feature: (N, C, ceil(H / stride), ceil(W / stride))}."""
        outputs = {}
        running = self._running()
        x = self.stem(x)
        for name, blocks in running:
            for block in blocks:
                x = block(x)
            if name in self._out_features:
                outputs[name] = x
        return outputs

    def _used_stages(self) -> tuple[str, ...]:
        """The stages up to the last wanted feature."""
        names = self.space.stage_names
        return names[: names.index(self._out_features[-1]) + 1]


def _checked_features(out_features: Sequence[str], space: SearchSpace) -> list[str]:
    """The features in the order of the stages."""
    names = space.stage_names
    wanted = [out_features] if isinstance(out_features, str) else list(out_features)
    if not wanted or len(set(wanted)) != len(wanted) or not set(wanted) <= set(names):
        raise ModelError(
            f"out_features is {wanted}; expected one or more of {', '.join(names)} (the stages of "
            f"space {space.name!r}), each at most once"
        )
    return [name for name in names if name in wanted]


def find_backbone(model: nn.Module) -> tuple[str, StagedBackbone] | None:
    """The supernet or stand-alone network in a model, with its prefix in the state dict.

    Returns:
        for example ("backbone.bottom_up.", supernet); None if the model has none.

    Raises:
        WeightsError: the model has more than one.
    """
    found = [
        (f"{name}." if name else "", module)
        for name, module in model.named_modules()
        if isinstance(module, StagedBackbone)
    ]
    if len(found) > 1:
        raise WeightsError(
            f"the model has {len(found)} DetNAS backbones, expected one: "
            + ", ".join(prefix for prefix, _ in found)
        )
    return found[0] if found else None
