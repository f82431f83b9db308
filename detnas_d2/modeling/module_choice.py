"""Choice blocks of one's own whose costs are counted from their module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ..space import Choice, SpaceError
from ..space.choices import Branches
from .measuring import measure_block


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
            SpaceError: `module` is missing, or is no class that can be imported.
        """
        module = getattr(type(self), "module", None)
        if not (isinstance(module, type) and issubclass(module, nn.Module)):
            raise SpaceError(
                f"{type(self).__name__}.module is {module!r}; expected the nn.Module class that "
                "runs the choice, as a class attribute: module = MyBlock"
            )
        if "<locals>" in module.__qualname__:
            raise SpaceError(
                f"{type(self).__name__}.module is defined inside of a function "
                f"({module.__qualname__}); move it to the top of its file, for it is imported "
                "again by its name"
            )
        return f"{module.__module__}.{module.__qualname__}"

    def branches(self, in_channels: int, out_channels: int, stride: int) -> Branches:
        """None: what is computed is the module's affair."""
        return ()

    def cost(
        self, in_channels: int, out_channels: int, stride: int, height: int, width: int
    ) -> tuple[int, int]:
        """Multiply-adds and parameters, counted."""
        figures = measure_block(self, in_channels, out_channels, stride, height, width)
        return figures.flops, figures.params
