"""What a training's folder says of its network: its last checkpoint, architecture and classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from ..data import categories_of
from ..engine.checkpoint_file import named_last
from .errors import TrainedError


def last_checkpoint(folder: Path, cfg: DictConfig | None = None) -> Path:
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
    if cfg is not None and cfg.get("search") is not None:
        raise TrainedError(_of_search(folder, cfg))
    initial = OmegaConf.select(cfg, "train.init_checkpoint") if cfg is not None else None
    if initial and (folder / "evaluation.json").is_file():
        raise TrainedError(
            f"{folder} is the folder of a test, without weights of its own; those that it tested "
            f"are {initial}: give the folder of that file, or --weights {initial}."
        )
    raise TrainedError(
        f"{folder} holds no checkpoint (model_final.pth): the training has not saved one yet, or "
        "it was moved away. Finish the training (train_net.py --resume), or give --weights FILE."
    )


def stated_network(path: Path) -> Mapping[str, Any]:
    """What a checkpoint says of its network (``describe``); empty where it says nothing.

    Raises:
        TrainedError: it is a supernet's, or its architecture is no list of numbers.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # the checkpointer says what is amiss
        return {}
    stated = checkpoint.get("detnas") if isinstance(checkpoint, dict) else None
    if not isinstance(stated, dict):
        return {}
    architecture = stated.get("architecture", [])
    if architecture is None:
        raise TrainedError(of_supernet(path))
    if not (isinstance(architecture, (list, tuple)) and all(type(c) is int for c in architecture)):
        raise TrainedError(
            f"{path} says that its architecture is {architecture!r}; expected a list of numbers."
        )
    return stated


def categories_in(checkpoint: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Id and name of each class, of the checkpoint or else of data sets.

    Raises:
        TrainedError: those of the checkpoint are damaged.
    """
    stored = checkpoint.get("categories")
    if isinstance(stored, list):
        return list(_checked(stored))
    return categories_of(names)


def _checked(categories: Sequence[Any]) -> Iterator[dict[str, Any]]:
    for category in categories:
        try:
            yield {"id": int(category["id"]), "name": str(category["name"])}
        except (TypeError, KeyError, ValueError) as e:
            raise TrainedError(
                'The checkpoint\'s entry "categories" is damaged: expected id and name of each '
                f"class, got {category!r}."
            ) from e


def _of_search(folder: Path, cfg: DictConfig) -> str:
    configs = OmegaConf.select(cfg, "search.retrain") or ["STEP4_CONFIG"]
    best = folder / "best_architecture.json"
    commands = "; ".join(f"python train_net.py --config-file {config}" for config in configs)
    return (
        f"{folder} is the folder of a search, which trains no network. Train what it found "
        f"({best}), with its commands: {commands}; then give the folder of that training."
    )


def of_supernet(path: Path) -> str:
    return (
        f"{path} is a supernet's checkpoint: its batch-norm statistics mix all paths, so no path "
        "of it works as it is. Search it (search_net.py), train the best architecture alone "
        "(train_net.py with a config of step 4), and give the folder of that training."
    )
