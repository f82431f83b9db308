"""Choice blocks: the modules that run what a `detnas_d2.space` choice describes."""

from __future__ import annotations

import fvcore.nn.weight_init as weight_init
import torch
from detectron2.utils.registry import locate
from torch import nn
from torch.nn import functional as F

from ..space import Choice, Conv
from .errors import ModelError
from .norm import NormFactory


class ConvNorm(nn.Module):
    """Convolution without bias -> norm -> optional ReLU, as a `Conv` describes it.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, conv: Conv, norm: NormFactory) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            stride=conv.stride,
            padding=conv.kernel_size // 2,
            groups=conv.groups,
            bias=False,
        )
        self.norm = norm(conv.out_channels)
        self.relu = conv.relu
        # Detectron2's initialisation. It counts all groups, so depthwise weights start small; the
        # norm behind takes the scale out, and what remains is that small weights learn faster. On
        # the demo's digits this led fan_in clearly (tried over learning rates).
        weight_init.c2_msra_fill(self.conv)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return F.relu(x, inplace=True) if self.relu else x


def shuffle_split(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, C, H, W) -> its even channels and its odd channels, (N, C / 2, H, W) each.

    Copies in the memory layout of x: the concatenation of a strided view drops channels_last.
    """
    if torch.jit.is_tracing():  # ONNX has the strided slice, and keeps dynamic shapes through it
        return x[:, ::2], x[:, 1::2]
    last = torch.channels_last
    layout = last if x.is_contiguous(memory_format=last) else torch.contiguous_format
    even, odd = x.unflatten(1, (-1, 2)).unbind(2)
    return even.contiguous(memory_format=layout), odd.contiguous(memory_format=layout)


class ShuffleBlock(nn.Module):
    """ShuffleNetV2 block of the DetNAS search space (the authors' shuffle_blocks.py).

    The channel shuffle is that of the authors' ShuffleNetV2 and DetNAS code, in the even/odd
    form: at the START of a stride-1 block the even channels become the projection half, which
    passes unchanged, and the odd channels go through the main branch. (The other known form, a
    shuffle of the output whose halves are then taken, is another network.) The output is the
    concatenation: first the projection half, then the main one. At stride 2 there is no shuffle;
    both branches see the whole input.

    `choice.branches(...)` says what the branches are: one (main) on the odd half, or two (main,
    projection) on the whole input.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).

    Raises:
        ValueError: the choice has other branches.
    """

    def __init__(
        self, choice: Choice, in_channels: int, out_channels: int, stride: int, norm: NormFactory
    ) -> None:
        super().__init__()
        branches = choice.branches(in_channels, out_channels, stride)
        split = len(branches) == 1
        if len(branches) > 2 or not branches or (split and (stride != 1 or in_channels % 2)):
            raise ModelError(
                f"choice {choice.name!r}, {in_channels} -> {out_channels} channels, stride "
                f"{stride}: a shuffle block has two branches (main, projection), or at stride 1 "
                f"and with an even number of input channels one (main); got {len(branches)}"
            )
        self.main, *projection = (
            nn.Sequential(*(ConvNorm(conv, norm) for conv in convs)) for convs in branches
        )
        self.projection = projection[0] if projection else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.projection is None:
            projected, x = shuffle_split(x)
        else:
            projected = self.projection(x)
        return torch.cat((projected, self.main(x)), dim=1)


def build_block(
    choice: Choice, in_channels: int, out_channels: int, stride: int, norm: NormFactory
) -> nn.Module:
    """The module of `choice`: `choice.block(choice, in_channels, out_channels, stride, norm)`.

    `choice.block` is the dotted path of an `nn.Module` class, so that a user's own choice needs
    no registration. The module maps (N, in_channels, H, W) to (N, out_channels, ceil(H / stride),
    ceil(W / stride)).

    Raises:
        ValueError: the path names no `nn.Module` class.
    """
    try:
        block = locate(choice.block)
    except Exception as error:  # importing a module runs it
        block = error
    if not (isinstance(block, type) and issubclass(block, nn.Module)):
        raise ModelError(
            f"choice {choice.name!r}: its block {choice.block!r} is {block!r}; expected the dotted "
            "path of an nn.Module class, importable from where the program runs"
        )
    return block(choice, in_channels, out_channels, stride, norm)
