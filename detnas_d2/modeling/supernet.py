"""The supernet: every choice of every block, of which one path runs (single path one-shot)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from ..errors import ConfigError
from ..space import Architecture, BlockSpec, SearchSpace, resolve_space
from .backbone import RES2_TO_RES5, StagedBackbone, find_backbone
from .blocks import build_block
from .measuring import check_choice
from .norm import NormFactory


class Supernet(StagedBackbone):
    """All choices of every block of a space (Algorithm 1, line 1); arguments as those of the same
    names of `StagedBackbone`.

    `forward` runs the chosen blocks of the current path and no others, so that the weights off
    the path get no gradient (None, not zero) and their norms no statistics. The path is plain
    Python state, not part of the state dict.

    State dict keys: `stem.…`, then `<stage>.<block>.<choice>.…` with numbers from 0.
    """

    def __init__(
        self,
        space: SearchSpace | str,
        *,
        norm: str | NormFactory = "BN",
        out_features: Sequence[str] = RES2_TO_RES5,
        input_channels: int = 3,
    ) -> None:
        space = resolve_space(space)

        def make_block(position: int, spec: BlockSpec, norm: NormFactory) -> nn.Module:
            modules: list[Any] = [None] * space.num_choices  # None where a choice doesn't fit
            for i in space.options[position]:
                check_choice(space, space.choices[i], spec)
                modules[i] = build_block(space.choices[i], *spec.shape, norm)
            return nn.ModuleList(modules)

        super().__init__(
            space,
            make_block,
            norm=norm,
            out_features=out_features,
            input_channels=input_channels,
        )
        self._path: Architecture | None = None

    @property
    def path(self) -> Architecture | None:
        """The current path; None before one is set."""
        return self._path

    def set_path(self, architecture: Architecture | Sequence[int] | str) -> None:
        """Make this the current path, in any form that `Architecture.parse` takes.

        Raises:
            ArchitectureError: not an architecture of this space; the path is as before.
        """
        self._path = Architecture.parse(architecture, self.space)

    @contextmanager
    def use_path(self, architecture: Architecture | Sequence[int] | str) -> Iterator[None]:
        """Run with this path, then restore the former one, also after an exception."""
        former = self._path
        self.set_path(architecture)
        try:
            yield
        finally:
            self._path = former

    def inactive_parameters(self) -> list[nn.Parameter]:
        """The parameters of the blocks that do not run on the current path.

        Raises:
            RuntimeError: no path is set.
        """
        return [p for block in self.inactive_blocks() for p in block.parameters()]

    def inactive_blocks(self) -> list[nn.Module]:
        """The choice blocks that do not run on the current path.

        Raises:
            RuntimeError: no path is set.
        """
        running = {id(block) for _, blocks in self._running() for block in blocks}
        return [
            block
            for name in self.space.stage_names
            for choices in self.get_submodule(name).children()
            for block in choices.children()
            if id(block) not in running
        ]

    def _running(self) -> list[tuple[str, list[nn.Module]]]:
        if self._path is None:
            raise RuntimeError(
                "the supernet has no path to run: call set_path(architecture), or run it inside "
                "`with supernet.use_path(architecture):`; in training the path hook sets one for "
                "each iteration"
            )
        path = iter(self._path)
        running = []
        for name in self._used_stages():
            stage: Any = self.get_submodule(name)
            running.append((name, [choices[next(path)] for choices in stage]))
        return running


def find_supernet(model: nn.Module) -> Supernet | None:
    """The supernet in a model; None if its backbone is another, or none of ours.

    Raises:
        WeightsError: as `find_backbone`.
    """
    found = find_backbone(model)
    return found[1] if found and isinstance(found[1], Supernet) else None


def require_supernet(model: nn.Module, who: str) -> Supernet:
    """The supernet in a model, for `who` can't do without.

    Raises:
        ConfigError: if there is none.
    """
    supernet = find_supernet(model)
    if supernet is None:
        found = find_backbone(model)
        raise ConfigError(
            f"{who} needs a model with a Supernet in it; this one has "
            f"{type(found[1]).__name__ if found else 'no DetNAS backbone'}."
        )
    return supernet
