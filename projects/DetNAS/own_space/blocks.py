"""A choice block of one's own, and an identity that makes depth a choice. See docs/own_space.md."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from detnas_d2.modeling import ModuleChoice, ShuffleBlock
from detnas_d2.modeling.norm import NormFactory
from detnas_d2.space import ShuffleChoice


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate between 0 and 1 (squeeze-and-excitation, Hu et al., 2018).

    The gate is computed from all channels' means. Shapes: (N, channels, H, W), unchanged.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        squeezed = max(1, channels // reduction)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(x)


class SqueezeExciteShuffleBlock(ShuffleBlock):
    """ShuffleNetV2's block with squeeze-and-excitation at the end of its main branch."""

    def __init__(
        self,
        choice: SqueezeExciteShuffleChoice,
        in_channels: int,
        out_channels: int,
        stride: int,
        norm: NormFactory,
    ) -> None:
        like = ShuffleChoice(choice.kernel_size)
        super().__init__(like, in_channels, out_channels, stride, norm)
        main = like.branches(in_channels, out_channels, stride)[0]
        self.main.append(SqueezeExcite(main[-1].out_channels, choice.reduction))


@dataclass(frozen=True)
class SqueezeExciteShuffleChoice(ModuleChoice):
    """`SqueezeExciteShuffleBlock`, to be put among a space's choices."""

    kernel_size: int = 3
    reduction: int = 4

    module = SqueezeExciteShuffleBlock

    @property
    def name(self) -> str:
        return f"se{self.kernel_size}x{self.kernel_size}"


@dataclass(frozen=True)
class SkipChoice(ModuleChoice):
    """No block at all, where the shape stays: a stage then is one block less deep."""

    name = "skip"
    module = nn.Identity

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        return stride == 1 and in_channels == out_channels
