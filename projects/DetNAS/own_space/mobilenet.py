"""Another family: the inverted residuals of MobileNetV2 (Sandler et al., 2018) as choices.

Kernel and expansion are what ProxylessNAS and others choose from. See docs/own_space.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from detnas_d2.modeling import ConvNorm
from detnas_d2.modeling.norm import NormFactory
from detnas_d2.space import Choice, Conv


class InvertedResidual(nn.Module):
    """1x1 convolution to more channels, depthwise convolution, 1x1 convolution without ReLU.

    The input is added where the shape stays.
    Shapes: (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(
        self,
        choice: InvertedResidualChoice,
        in_channels: int,
        out_channels: int,
        stride: int,
        norm: NormFactory,
    ) -> None:
        super().__init__()
        (convs,) = choice.branches(in_channels, out_channels, stride)
        self.convs = nn.Sequential(*(ConvNorm(conv, norm) for conv in convs))
        self.is_residual = stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.convs(x) if self.is_residual else self.convs(x)


@dataclass(frozen=True)
class InvertedResidualChoice(Choice):
    """`InvertedResidual` as data: its convolutions are written once, here, and built from here."""

    kernel_size: int = 3
    expansion: int = 6

    block = f"{InvertedResidual.__module__}.{InvertedResidual.__qualname__}"

    @property
    def name(self) -> str:
        return f"k{self.kernel_size}e{self.expansion}"

    def branches(
        self, in_channels: int, out_channels: int, stride: int
    ) -> tuple[tuple[Conv, ...], ...]:
        wide = in_channels * self.expansion
        return (
            (
                Conv(in_channels, wide),
                Conv(wide, wide, self.kernel_size, stride, groups=wide),
                Conv(wide, out_channels, relu=False),
            ),
        )
