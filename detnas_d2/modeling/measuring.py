"""What a choice block costs, counted while it runs on the meta device, without arithmetic."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..space import BlockSpec, Choice, SearchSpace, ShuffleChoice, XceptionChoice
from .blocks import build_block
from .errors import ModelError
from .norm import Norm

_SIDE = 48  # height and width of a trial input: the usual strides divide it


@dataclass(frozen=True)
class BlockFigures:
    """Costs of a block for one image.

    flops: multiply-adds of convolutions and matrix products. params: all parameters, a norm's
    scale and shift in them.
    """

    flops: int
    params: int


@functools.lru_cache(maxsize=2**14)
def measure_block(
    choice: Choice, in_channels: int, out_channels: int, stride: int, height: int, width: int
) -> BlockFigures:
    """Run a choice's module once on an input of (1, in_channels, height, width) and count.

    Raises:
        ModelError: the module can't be made or run, or its output has another shape than
            (1, out_channels, ceil(height / stride), ceil(width / stride)).
    """
    what = f"{choice.block}, {in_channels} -> {out_channels} channels, stride {stride}"
    with torch.device("meta"), torch.no_grad():
        block = built(choice, in_channels, out_channels, stride).eval()
        x = torch.empty(1, in_channels, height, width)
        with FlopCounterMode(display=False) as flops:
            try:
                output = block(x)
            except Exception as error:  # it is the user's code
                raise ModelError(
                    f"{what}: it can't run on an input of {tuple(x.shape)} on the meta device: "
                    f"{type(error).__name__}: {error}"
                ) from error
    check_output(what, x, output, out_channels, stride)
    params = sum(p.numel() for p in block.parameters())
    return BlockFigures(flops.get_total_flops() // 2, params)


def built(choice: Choice, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The choice's module, with plain batch norms.

    Raises:
        ModelError: it can't be made.
    """
    try:
        return build_block(choice, in_channels, out_channels, stride, Norm("BN"))
    except ModelError:
        raise
    except Exception as error:  # it is the user's code
        raise ModelError(
            f"{choice.block} can't be made for {in_channels} -> {out_channels} channels and stride "
            f"{stride}: {type(error).__name__}: {error}; it is called as "
            "block(choice, in_channels, out_channels, stride, norm)"
        ) from error


def check_output(what: str, x: torch.Tensor, output: Any, out_channels: int, stride: int) -> None:
    """Raise ModelError unless the output for the input x has the block's shape."""
    size = (math.ceil(n / stride) for n in x.shape[2:])
    expected = (len(x), out_channels, *size)
    if not isinstance(output, torch.Tensor):
        raise ModelError(f"{what}: it gives a {type(output).__name__}; expected a tensor")
    if tuple(output.shape) != expected:
        advice = ""
        if output.shape == x.shape:
            advice = (
                ". If it is meant to keep the shape, give its choice the method fits(in_channels, "
                "out_channels, stride), True only where the shape stays"
            )
        raise ModelError(
            f"{what}: for an input of {tuple(x.shape)} it gives {tuple(output.shape)}; expected "
            f"{expected}, (N, out_channels, ceil(H / stride), ceil(W / stride)){advice}"
        )


def check_choice(space: SearchSpace, choice: Choice, block: BlockSpec) -> None:
    """Raise ModelError, with the place, unless a choice of one's own runs in a block of the space.

    It runs on the meta device; only where that fails, also on the CPU, for not all modules can run
    without numbers. Random numbers are left as they are.
    """
    if type(choice) in (ShuffleChoice, XceptionChoice):
        return
    shape = (block.in_channels, block.out_channels, block.stride)
    try:
        try:
            measure_block(choice, *shape, _SIDE, _SIDE)
        except ModelError:
            _run_on_cpu(choice, *shape)
    except ModelError as error:
        raise ModelError(
            f"space {space.name!r}: choice {choice.name!r} in block {block.index_in_stage + 1} of "
            f"{space.stage_names[block.stage]}: {error}. Mend it; "
            "`python -m detnas_d2.modeling.check_blocks CONFIG` lists all that is wrong with the "
            "space's choices"
        ) from error


def _run_on_cpu(choice: Choice, in_channels: int, out_channels: int, stride: int) -> None:
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
        block = built(choice, in_channels, out_channels, stride).eval()
        x = torch.randn(1, in_channels, _SIDE, _SIDE)
        try:
            output = block(x)
        except Exception as error:  # it is the user's code
            raise ModelError(
                f"{choice.block}: its forward fails on {tuple(x.shape)} (stride {stride}, expected "
                f"{out_channels} output channels): {type(error).__name__}: {error}"
            ) from error
    check_output(f"{choice.block}, stride {stride}", x, output, out_channels, stride)
