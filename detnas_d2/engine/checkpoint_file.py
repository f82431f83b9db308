"""What a checkpoint file is of, and which are no checkpoint, or none of this network."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..errors import DetNASError
from ..modeling import Stated, backbone_prefix, describe, stated_network
from ..space import SPACES, SearchSpace

_STARTS = (b"\x80", b"PK")  # a pickle, as torch.save wrote before 1.6; a zip archive since
_SHOWN = 40


class CheckpointError(DetNASError):
    """A checkpoint that is missing, damaged, of another network, or cannot be written."""


def named_last(folder: str | os.PathLike[str]) -> str:
    """The file of a folder that its ``last_checkpoint`` names; "" where it has none.

    Raises:
        CheckpointError: it holds something else than the name of a file beside it.
    """
    last = os.path.join(folder, "last_checkpoint")
    try:
        with open(last, encoding="utf-8") as file:
            name = file.read().strip()
    except OSError:
        return ""
    except ValueError:
        name = ""
    if name in ("", ".", "..") or "\0" in name or os.path.basename(name) != name:
        raise CheckpointError(
            f"{last!r} names {name!r}; expected a file beside it, such as model_final.pth. Write "
            "the name of the checkpoint to go on with into it, or remove it."
        )
    return os.path.join(folder, name)


def why_no_checkpoint(path: str) -> str | None:
    """What a file is in the place of one that torch.save has written; None if it may be one.

    Raises:
        OSError: it can't be read.
    """
    if os.path.isdir(path):
        return "is a folder; name the file in it, model_final.pth"
    with open(path, "rb") as file:
        start = file.read(_SHOWN)
    if not start:
        return "is empty"
    if start.startswith(b"PK") and not zipfile.is_zipfile(path):
        return "is truncated: the end of its archive is missing"
    if not start.startswith(_STARTS):
        shown = start.split(b"\n")[0].decode(errors="backslashreplace")
        return f"is another kind of file; it begins with {shown!r}"
    return None


def starting_weights(path: str, *more: SearchSpace) -> Stated:
    """The space and the architecture of a checkpoint of this project; nothing for "".

    Args:
        more: spaces that it may be of, besides those that have a name here.

    Raises:
        CheckpointError: a file that is missing or damaged, states no network, or is of another
            space.
    """
    if not path:
        return Stated()
    try:
        stated = stated_network(torch.load(path, map_location="cpu", weights_only=True, mmap=True))
        if not stated.fingerprint:
            raise ValueError("no network")
    except FileNotFoundError as e:
        raise CheckpointError(
            f"weights is {path!r}, which is not there; give the checkpoint to start from, or '' "
            "for none."
        ) from e
    except (
        *(pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError),
        *(TypeError, LookupError, AttributeError),
    ) as e:
        raise CheckpointError(
            f"weights: {path!r} is damaged or does not state which network it is of "
            f"({type(e).__name__}); expected a checkpoint of this project. Released files: "
            "projects/DetNAS/paper/convert_weights.py."
        ) from e
    if stated[:2] in [(space.name, space.fingerprint) for space in (*SPACES.values(), *more)]:
        return stated
    raise CheckpointError(
        f"weights: {path!r} is of the space {stated.space!r}, which is none of "
        f"{', '.join(SPACES)}; set the space and train.init_checkpoint in the config yourself."
    )


def of_supernet(what: str) -> str:
    """Why `what`, a model or a checkpoint, can't be tested, exported or used."""
    return (
        f"{what} is a supernet's: its batch-norm statistics mix all paths, so no path of it works "
        "as it is. Search it (search_net.py), train the best architecture alone (train_net.py with "
        "a config of step 4), and take what that has trained."
    )


def check_whole(model: nn.Module, checkpoint: Mapping[str, Any]) -> None:
    """
    Raises:
        CheckpointError: it lacks heads of the model, which would be random, or is of a supernet
            where the model is not: its statistics are those of no single path.
    """
    prefix = backbone_prefix(model)
    lacking = [
        key
        for key in model.state_dict()
        if not key.startswith(prefix)
        and key not in checkpoint["model"]
        and not key.endswith("num_batches_tracked")
    ]
    if lacking:
        raise CheckpointError(
            f"The checkpoint lacks {len(lacking)} tensors of the model's heads, for example "
            f"{lacking[0]!r}, which would stay random: it is of a classification or of a "
            "backbone alone. Give the model_final.pth of this very network's training (the "
            "step before)."
        )
    if stated_network(checkpoint).is_supernet and describe(model).get("architecture"):
        raise CheckpointError(of_supernet("The checkpoint"))


def check_backbone(model: nn.Module, missing: set[str]) -> None:
    """
    Raises:
        CheckpointError: the backbone got none of its parameters, for all are in `missing`.
    """
    prefix = backbone_prefix(model)
    wanted = {name for name, _ in model.named_parameters() if name.startswith(prefix)}
    if wanted and wanted <= missing:
        raise CheckpointError(
            f"The checkpoint holds none of the {len(wanted)} parameters of the model's backbone "
            f"({prefix}*), for example {min(wanted)!r}; expected one of a network with this "
            "backbone. Give the model_final.pth of the step before (train.init_checkpoint=...)."
        )


def check_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """PyTorch takes the state of another optimizer, and fails at the first step.

    Raises:
        CheckpointError: the state is of another optimizer.
    """
    own, found = (set(x["param_groups"][0]) for x in (optimizer.state_dict(), saved))
    if own - found and found - own:  # another version of PyTorch only adds some
        raise CheckpointError(
            f"The checkpoint is of a training by another optimizer than {type(optimizer).__name__}:"
            f" it has the settings {', '.join(sorted(found - own))}, and not "
            f"{', '.join(sorted(own - found))}. Go on with the former one, or begin anew in "
            "another train.output_dir."
        )
