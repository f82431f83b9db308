"""The keys of a config, compared with what takes them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detectron2.config import LazyConfig
from dry_run_step import target_of
from omegaconf import DictConfig, OmegaConf

ROOT = Path(__file__).resolve().parent.parent


def unknown_keys(node: Any, key: str = "") -> Iterator[str]:
    """Keys below `node` that the class or function that they are for does not take."""
    if not isinstance(node, DictConfig):
        items = node if OmegaConf.is_list(node) else ()
        for i, item in enumerate(items):
            yield from unknown_keys(item, f"{key}[{i}]")
        return
    names = [str(k) for k in node if k != "_target_"]
    if "_target_" in node:
        target = target_of(node)
        parameters = inspect.signature(target).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            for name in set(names) - set(parameters):
                yield f"{key}.{name}: {target.__name__} takes no such argument"
    for name in names:
        if not OmegaConf.is_interpolation(node, name):
            yield from unknown_keys(node[name], f"{key}.{name}".lstrip("."))


def unlike_references(cfg: DictConfig) -> Iterator[str]:
    """Keys that stand for no call, and so have to be those that the scripts read."""
    for group, known in _groups().items():
        node = OmegaConf.select(cfg, group) if group else cfg
        for name in set(map(str, node or ())) - known:
            place = f"{group}.{name}".lstrip(".")
            yield (
                f"{place}: nothing reads this key; known are {', '.join(sorted(known))} (a "
                "variable of a config file stays out of the config if its name begins with _)"
            )


@functools.cache
def _groups() -> dict[str, set[str]]:
    """The known keys of each group; those of train and search are all in their common files."""
    groups = {
        "": {
            "dataloader",
            "datasets",
            "lr_multiplier",
            "model",
            "optimizer",
            "path_sampler",
            "search",
            "train",
        },
        "dataloader": {"train", "calibration", "test", "evaluator"},
    }
    for group in ("train", "search"):
        node = LazyConfig.load(str(ROOT / f"configs/common/{group}.py"))[group]
        groups[group] = set(map(str, node))
        for name, value in node.items():
            if isinstance(value, DictConfig) and "_target_" not in value:
                groups[f"{group}.{name}"] = set(map(str, value))
    return groups
