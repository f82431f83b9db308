"""Choice blocks tried and counted: costs without arithmetic, and the blocks that don't run."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..space import BlockSpec, Choice, SearchSpace, ShuffleChoice, SpaceError, XceptionChoice
from ..space.choices import Branches
from .blocks import build_block
from .errors import ModelError
from .norm import Norm

Shape = tuple[int, int, int]  # as BlockSpec has it
_SIDE = 48  # height and width of a trial input: the usual strides divide it


@dataclass(frozen=True)
class ModuleChoice(Choice):
    """A choice that says nothing but its name and its module; costs are counted by running it::

        @dataclass(frozen=True)
        class MyChoice(ModuleChoice):
            reduction: int = 4  # what a config may set
            name = "mine"
            module = MyBlock

    `module` is called as module(choice, in_channels, out_channels, stride, norm). Multiply-adds are
    those of convolutions and matrix products; see `measure_block`, which raises ModelError for a
    module that can't be run.
    """

    module: ClassVar[type[nn.Module]]

    @property
    def block(self) -> str:
        """The module's dotted path.

        Raises:
            SpaceError: `module` is missing, or is no class.
        """
        module = getattr(type(self), "module", None)
        if not (isinstance(module, type) and issubclass(module, nn.Module)):
            raise SpaceError(
                f"{type(self).__name__}.module is {module!r}; expected the nn.Module class that "
                "runs the choice, as a class attribute: module = MyBlock"
            )
        return f"{module.__module__}.{module.__qualname__}"

    def branches(self, in_channels: int, out_channels: int, stride: int) -> Branches:
        """None: what is computed is the module's affair."""
        return ()

    def cost(
        self, in_channels: int, out_channels: int, stride: int, height: int, width: int
    ) -> tuple[int, int]:
        """Multiply-adds and parameters, counted."""
        return measure_block(self, in_channels, out_channels, stride, height, width)


@functools.lru_cache(maxsize=2**14)
def measure_block(
    choice: Choice, in_channels: int, out_channels: int, stride: int, height: int, width: int
) -> tuple[int, int]:
    """Multiply-adds and parameters of a block for one image, counted on the meta device.

    Counted are the multiply-adds of convolutions and matrix products, and all parameters, a norm's
    scale and shift in them. The module runs once, on an input of (1, in_channels, height, width).

    Raises:
        ModelError: as `built` and `run_block`.
    """
    shape = (in_channels, out_channels, stride)
    with torch.device("meta"), torch.no_grad():
        block = built(choice, shape).eval()
        with FlopCounterMode(display=False) as flops:
            run_block(choice, block, torch.empty(1, in_channels, height, width), shape)
    return flops.get_total_flops() // 2, sum(p.numel() for p in block.parameters())


def built(choice: Choice, shape: Shape) -> nn.Module:
    """The choice's module for a block of this shape, with plain batch norms.

    Raises:
        ModelError: it can't be made.
    """
    try:
        return build_block(choice, *shape, Norm("BN"))
    except ModelError:
        raise
    except Exception as error:  # it is the user's code
        raise ModelError(
            f"{_place(choice, *shape)}: it can't be made: {type(error).__name__}: {error}; it is "
            "called as block(choice, in_channels, out_channels, stride, norm)"
        ) from error


def run_block(choice: Choice, block: nn.Module, x: torch.Tensor, shape: Shape) -> torch.Tensor:
    """The output of a choice's module for x, (N, out_channels, ceil(H / stride), ceil(W / stride)).

    Raises:
        ModelError: its forward fails, or gives anything else.
    """
    _, out_channels, stride = shape
    what = f"{_place(choice, *shape)}: for an input of {tuple(x.shape)}"
    try:
        output = block(x)
    except Exception as error:  # it is the user's code
        raise ModelError(
            f"{what} its forward fails on {x.device}: {type(error).__name__}: {error}"
        ) from error
    expected = (len(x), out_channels, *(math.ceil(n / stride) for n in x.shape[2:]))
    given = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if given != expected:
        advice = (
            ". If it is meant to keep the shape, give its choice the method fits(in_channels, "
            "out_channels, stride), True only where the shape stays"
        )
        raise ModelError(
            f"{what} it gives {given}; expected {expected}, (N, out_channels, ceil(H / stride), "
            f"ceil(W / stride)){advice if given == tuple(x.shape) else ''}"
        )
    return output


def _place(choice: Choice, in_channels: int, out_channels: int, stride: int) -> str:
    return f"{choice.block}, {in_channels} -> {out_channels} channels, stride {stride}"


def check_choice(space: SearchSpace, choice: Choice, block: BlockSpec) -> None:
    """Raise ModelError, with the place, unless a choice of one's own runs in a block of the space.

    It runs on the meta device; only where that fails, also on the CPU, for not all modules can run
    without numbers. Random numbers are left as they are.
    """
    if type(choice) in (ShuffleChoice, XceptionChoice):
        return
    try:
        try:
            measure_block(choice, *block.shape, _SIDE, _SIDE)
        except ModelError:
            with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
                x = torch.randn(1, block.in_channels, _SIDE, _SIDE)
                run_block(choice, built(choice, block.shape).eval(), x, block.shape)
    except ModelError as error:
        raise ModelError(
            f"space {space.name!r}: choice {choice.name!r} in {block}: {error}. Mend it; "
            "`python -m detnas_d2.modeling.check_blocks CONFIG` lists all that is wrong with the "
            "space's choices"
        ) from error
