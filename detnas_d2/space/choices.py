"""Choice blocks: what a block of the network can be, as data (the authors' shuffle_blocks.py)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._values import as_int
from .errors import SpaceError

Branches = tuple[tuple["Conv", ...], ...]


@dataclass(frozen=True)
class Conv:
    """
    A convolution without bias and with padding kernel_size // 2, its norm, and ReLU if `relu`.

    Channels are counts; kernel size and stride are the same for both axes.

    Raises:
        SpaceError: for a number that isn't a positive integer, an even kernel, or groups that
            don't divide the channels.
    """

    in_channels: int
    out_channels: int
    kernel_size: int = 1
    stride: int = 1
    groups: int = 1
    relu: bool = True

    def __post_init__(self) -> None:
        for name in ("in_channels", "out_channels", "kernel_size", "stride", "groups"):
            checked_integer(getattr(self, name), f"Conv's {name}")
        if self.kernel_size % 2 == 0:
            raise SpaceError(f"Conv's kernel_size is {self.kernel_size}; expected an odd number")
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise SpaceError(
                    f"Conv's {name} is {getattr(self, name)}, which its {self.groups} groups "
                    "don't divide"
                )

    @property
    def params(self) -> int:
        """Weights of the convolution and the norm's scale and shift."""
        return self.weights + 2 * self.out_channels

    @property
    def weights(self) -> int:
        """Weights of the convolution alone: multiply-adds for one output position."""
        return self.out_channels * (self.in_channels // self.groups) * self.kernel_size**2


@dataclass(frozen=True)
class Choice(ABC):
    """
    One choice of a block. Subclasses are frozen dataclasses, so equality is by class and value.

    A choice of one's own defines `name` (short, unique in its space), `block` and `branches`,
    as fields, class attributes or properties.
    """

    # Declared for type checkers only: a property here would become the default of a subclass's
    # dataclass field of that name.
    if TYPE_CHECKING:

        @property
        def name(self) -> str:
            """Short name, unique in its space: state dict keys and reports use it."""

        @property
        def block(self) -> str:
            """
            Dotted path of the nn.Module class that runs the choice. It's called as
            block(choice, in_channels, out_channels, stride, norm).
            """

    @abstractmethod
    def branches(self, in_channels: int, out_channels: int, stride: int) -> Branches:
        """
        The block's convolutions: one tuple for each branch, empty where nothing is computed.

        Each branch starts at the block's input resolution, and the strides in it multiply to
        `stride`. The costs come from here, and so do the modules that run.

        Raises:
            SpaceError: if the choice can't be built with these channels and this stride.
        """

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """
        Whether a block of this shape can be the choice; no path has it where it doesn't fit.

        An identity fits only where the shape stays, so not at the first block of a stage.
        """
        return True

    def cost(
        self, in_channels: int, out_channels: int, stride: int, height: int, width: int
    ) -> tuple[int, int]:
        """
        Multiply-adds and parameters for an input of height x width positions.

        Override it only for a block that computes off this grid (squeeze-excite's convolutions
        see one position), so that `branches` alone can't tell.
        """
        flops = params = 0
        for branch in self.branches(in_channels, out_channels, stride):
            h, w = height, width
            for conv in branch:
                h, w = -(-h // conv.stride), -(-w // conv.stride)
                flops += conv.weights * h * w
                params += conv.params
        return flops, params


class _ShuffleBlock(Choice):
    """The two forms of a ShuffleNetV2 block.

    At stride 1 one branch takes half of the channels and the other half passes by. At a greater
    stride the main branch makes out - in channels and the projection in.
    """

    block = "detnas_d2.modeling.blocks.ShuffleBlock"

    @abstractmethod
    def _main(self, inp: int, mid: int, out: int, stride: int) -> tuple[Conv, ...]:
        """The main branch; the projection's kernel is that of its strided convolution."""

    def branches(self, in_channels: int, out_channels: int, stride: int) -> Branches:
        if out_channels % 2:
            raise SpaceError(
                f"{out_channels} output channels; expected an even number, since a ShuffleNetV2 "
                "block halves them"
            )
        mid = out_channels // 2
        if stride == 1:
            if in_channels != out_channels:
                raise SpaceError(
                    f"{in_channels} input and {out_channels} output channels at stride 1; expected "
                    "equal numbers, since half of the channels pass by: give the stage stride 2 or "
                    "the same channels"
                )
            return (self._main(mid, mid, mid, 1),)
        if out_channels <= in_channels:
            raise SpaceError(
                f"{in_channels} input and {out_channels} output channels at stride {stride}; "
                "expected more output channels, since the main branch adds out - in to the "
                "projection's in"
            )
        main = self._main(in_channels, mid, out_channels - in_channels, stride)
        (kernel,) = (conv.kernel_size for conv in main if conv.stride > 1)
        projection = (
            Conv(in_channels, in_channels, kernel, stride, in_channels, relu=False),
            Conv(in_channels, in_channels),
        )
        return main, projection


@dataclass(frozen=True)
class ShuffleChoice(_ShuffleBlock):
    """ShuffleNetV2's block with a depthwise kernel of 3, 5 or 7 (any odd size is accepted)."""

    kernel_size: int = 3

    @property
    def name(self) -> str:
        return f"{self.kernel_size}x{self.kernel_size}"

    def _main(self, inp: int, mid: int, out: int, stride: int) -> tuple[Conv, ...]:
        return (
            Conv(inp, mid),
            Conv(mid, mid, self.kernel_size, stride, groups=mid, relu=False),
            Conv(mid, out),
        )


@dataclass(frozen=True)
class XceptionChoice(_ShuffleBlock):
    """ShuffleNetV2's block with three 3x3 separable convolutions in its main branch."""

    name = "xception"

    def _main(self, inp: int, mid: int, out: int, stride: int) -> tuple[Conv, ...]:
        return (
            Conv(inp, inp, 3, stride, groups=inp, relu=False),
            Conv(inp, mid),
            Conv(mid, mid, 3, groups=mid, relu=False),
            Conv(mid, mid),
            Conv(mid, mid, 3, groups=mid, relu=False),
            Conv(mid, out),
        )


def checked_integer(value: object, what: str, least: int = 1) -> int:
    """The value; raises SpaceError, naming `what`, unless it is an integer of at least `least`."""
    number = as_int(value)
    if number is None or number < least:
        raise SpaceError(f"{what} is {value!r}; expected an integer of at least {least}")
    return number


def check_branches(choice: Choice, in_channels: int, out_channels: int, stride: int) -> None:
    """Raise SpaceError unless the choice's branches are well formed for a block of this shape."""
    branches = choice.branches(in_channels, out_channels, stride)
    if not isinstance(branches, tuple) or not all(isinstance(b, tuple) for b in branches):
        raise SpaceError("its branches aren't a tuple of tuples of Conv")
    for i, branch in enumerate(branches):
        total = 1
        for j, conv in enumerate(branch):
            if not isinstance(conv, Conv):
                raise SpaceError(f"convolution {j} of branch {i} is {conv!r}; expected a Conv")
            total *= conv.stride
            if j and conv.in_channels != branch[j - 1].out_channels:
                raise SpaceError(
                    f"convolution {j} of branch {i} takes {conv.in_channels} channels; expected "
                    f"the {branch[j - 1].out_channels} that the one before it gives"
                )
        if branch and branch[0].in_channels > in_channels:
            raise SpaceError(
                f"branch {i} takes {branch[0].in_channels} channels; the block has {in_channels}"
            )
        if branch and total != stride:
            raise SpaceError(
                f"the strides in branch {i} multiply to {total}; expected the block's {stride}"
            )
