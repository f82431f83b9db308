"""The stand-alone network of one architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from ..space import Architecture, BlockSpec, SearchSpace, resolve_space
from .backbone import RES2_TO_RES5, StagedBackbone
from .blocks import build_block
from .measuring import check_choice
from .norm import NormFactory


class StandAloneNetwork(StagedBackbone):
    """The stand-alone network of one architecture (DetNASNet when it is a searched one).

    Args:
        space: a search space or the name of one.
        architecture: an architecture of the space in any form that `Architecture.parse` takes:
            numbers, "2,1,2,0,...", the path of a best_architecture.json.
        norm, out_features, input_channels: as `StagedBackbone`.

    State dict keys: those of the supernet without the choice: `stem.…`, `<stage>.<block>.…`.

    Raises:
        ArchitectureError: not an architecture of the space.
    """

    def __init__(
        self,
        space: SearchSpace | str,
        architecture: Architecture | Sequence[int] | str,
        *,
        norm: str | NormFactory = "BN",
        out_features: Sequence[str] = RES2_TO_RES5,
        input_channels: int = 3,
    ) -> None:
        space = resolve_space(space)
        parsed = Architecture.parse(architecture, space)

        def make_block(position: int, spec: BlockSpec, norm: NormFactory) -> nn.Module:
            choice = space.choices[parsed[position]]
            check_choice(space, choice, spec)
            return build_block(choice, *spec.shape, norm)

        super().__init__(
            space,
            make_block,
            norm=norm,
            out_features=out_features,
            input_channels=input_channels,
        )
        self.architecture = parsed

    def _running(self) -> list[tuple[str, Any]]:
        return [(name, self.get_submodule(name)) for name in self._used_stages()]
