"""The state dict of one path out of its supernet's, and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ..space import Architecture
from .errors import WeightsError

State = Mapping[str, torch.Tensor]


def slice_supernet(
    state_dict: State, architecture: Architecture, prefix: str = ""
) -> dict[str, torch.Tensor]:
    """The state dict of one architecture's stand-alone network, out of its supernet's.

    Keys `<prefix><stage>.<block>.<choice>.…` of the chosen choices lose `<choice>.`, those of
    other choices are left out, all else (stem, FPN, heads) stays. The tensors are shared, not
    copied, so the outputs are bit-identical.

    Raises:
        WeightsError: a key that no supernet of the architecture's space has.
    """
    space = architecture.space
    path = {
        (space.stage_names[block.stage], str(block.index_in_stage)): str(choice)
        for block, choice in zip(space.blocks, architecture, strict=True)
    }
    choices = {str(i) for i in range(space.num_choices)}
    sliced = {}
    for key, tensor in state_dict.items():
        parts = key[len(prefix) :].split(".") if key.startswith(prefix) else [""]
        if parts[0] not in space.stage_names:
            sliced[key] = tensor
            continue
        chosen = path.get((parts[0], parts[1])) if len(parts) > 3 else None
        if chosen is None or parts[2] not in choices:
            raise WeightsError(
                f"{key!r} is no key of a supernet of space {space.name!r}; expected "
                f"{prefix}<stage>.<block>.<choice>.<...> with {space.num_blocks} blocks and "
                f"choices 0 to {space.num_choices - 1}"
            )
        if parts[2] == chosen:
            sliced[prefix + ".".join(parts[:2] + parts[3:])] = tensor
    return sliced


def spread_on_path(
    state_dict: State, architecture: Architecture, prefix: str = ""
) -> dict[str, torch.Tensor]:
    """What `slice_supernet` undoes: a stand-alone network's weights under its supernet's keys.

    Keys `<prefix><stage>.<block>.…` get the block's choice, `<prefix><stage>.<block>.<choice>.…`;
    all else stays. The tensors are shared, not copied.

    Raises:
        WeightsError: a key of a block that the architecture does not have.
    """
    space = architecture.space
    choices = {
        f"{space.stage_names[block.stage]}.{block.index_in_stage}": choice
        for block, choice in zip(space.blocks, architecture, strict=True)
    }
    spread = {}
    for key, tensor in state_dict.items():
        stage, _, rest = (
            key[len(prefix) :].partition(".") if key.startswith(prefix) else ("", "", "")
        )
        if stage in space.stage_names:
            block, _, rest = rest.partition(".")
            if f"{stage}.{block}" not in choices:
                raise WeightsError(f"{key!r} is no key of a network of space {space.name!r}")
            key = f"{prefix}{stage}.{block}.{choices[f'{stage}.{block}']}.{rest}"
        spread[key] = tensor
    return spread
