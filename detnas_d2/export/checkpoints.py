"""What a training's folder says of its network: its last checkpoint, architecture and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch

from ..data import categories_of
from ..engine.checkpoint_file import named_last, of_supernet
from ..modeling import Stated, stated_network
from .errors import TrainedError


def last_checkpoint(folder: Path) -> Path:
    """The newest checkpoint in a folder.

    Raises:
        TrainedError: there is none.
        CheckpointError: as `named_last`.
    """
    named = Path(named_last(folder) or folder / "model_final.pth")
    numbered = sorted(folder.glob("model_*.pth"))  # model_final comes after the numbers
    for path in (named, *numbered[::-1]):
        if path.is_file():
            return path
    if (folder / "search.json").exists():
        raise TrainedError(
            f"{folder} is the folder of a search, which trains no network. Train what it found "
            "(train_net.py with a config of step 4; the search named its commands as it ended), "
            "and give the folder of that training."
        )
    raise TrainedError(
        f"{folder} holds no checkpoint (model_final.pth): the training has not saved one yet, or "
        "it was moved away, or this was a test alone. Finish the training (train_net.py --resume), "
        "or give --weights FILE."
    )


def stated_architecture(path: Path) -> list[int] | None:
    """The architecture that a checkpoint has; None where it says nothing of it.

    Raises:
        TrainedError: it is a supernet's.
        WeightsError: as `stated_network`.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except Exception:  # the checkpointer says what is amiss
        return None
    stated = stated_network(checkpoint) if isinstance(checkpoint, dict) else Stated()
    if stated.is_supernet:
        raise TrainedError(of_supernet(str(path)))
    return stated.architecture


def categories_in(checkpoint: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Id and name of each class, of the checkpoint or else of data sets.

    Raises:
        TrainedError: those of the checkpoint are damaged.
    """
    stored = checkpoint.get("categories")
    if not isinstance(stored, list):
        return categories_of(names)
    try:
        return [{"id": int(c["id"]), "name": str(c["name"])} for c in stored]
    except (TypeError, KeyError, ValueError) as e:
        raise TrainedError(
            'The checkpoint\'s entry "categories" is damaged: expected id and name of each class, '
            f"got {str(stored)[:200]}."
        ) from e
