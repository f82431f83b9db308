"""What a checkpoint is of, for configs that begin with one."""

from __future__ import annotations

import operator
import os
import pickle
from contextlib import suppress
from typing import NamedTuple

import torch

from ..space import SPACES, SpaceError, get_space
from .checkpoint import CheckpointError


class StartingWeights(NamedTuple):
    """Of which network a checkpoint's weights are.

    Attributes:
        space: its name, for a config's `space`; None without a checkpoint.
        is_supernet: they are a supernet's, else those of `architecture`, or there are none.
    """

    space: str | None = None
    architecture: list[int] | None = None
    is_supernet: bool = False


def starting_weights(path: str) -> StartingWeights:
    """The space and the architecture of a checkpoint of this project; nothing for "".

    Raises:
        CheckpointError: a file that is missing or damaged, states no network, or is of a space that
            is not one of the project's.
    """
    if not path:
        return StartingWeights()
    if not os.path.isfile(path):
        raise CheckpointError(
            f"weights is {path!r}, which is not there; give the checkpoint to start from, or '' "
            "for none."
        )
    try:
        stated = torch.load(path, map_location="cpu", weights_only=True, mmap=True).get("detnas")
        name, fingerprint, architecture = (
            stated[key] for key in ("space", "fingerprint", "architecture")
        )
        # it becomes a part of the config, where text or a dict could be more than numbers
        architecture = None if architecture is None else [operator.index(c) for c in architecture]
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as e:
        raise CheckpointError(
            f"weights: {path!r} could not be read ({str(e).splitlines()[0]}); expected a "
            "checkpoint of this project. Released files: projects/DetNAS/paper/convert_weights.py."
        ) from e
    except (TypeError, KeyError, AttributeError) as e:
        raise CheckpointError(
            f"weights: {path!r} does not state which network it is of; expected a checkpoint of "
            "this project. Released files: projects/DetNAS/paper/convert_weights.py."
        ) from e
    with suppress(SpaceError):
        if get_space(str(name)).fingerprint == fingerprint:
            return StartingWeights(name, architecture, architecture is None)
    raise CheckpointError(
        f"weights: {path!r} is of the space {name!r}, which is none of {', '.join(SPACES)}; "
        "set the space and train.init_checkpoint in the config yourself."
    )
