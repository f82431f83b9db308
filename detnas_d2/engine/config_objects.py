"""Objects that stand in a config where nodes are expected."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any

from detectron2.config.instantiate import dump_dataclass
from omegaconf import DictConfig, ListConfig, OmegaConf


def describe_objects(node: Any) -> None:
    """Write dataclass instances as the nodes that make them: ``space=SearchSpace(...)`` becomes
    what ``space=L(SearchSpace)(...)`` is.

    A run's config.yaml would otherwise keep their fields and forget their classes.

    Args:
        node: a config or a part of it, changed in place.
    """
    if not isinstance(node, (DictConfig, ListConfig)):
        return
    keys = list(node) if isinstance(node, DictConfig) else range(len(node))
    for key in keys:
        if OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key):
            continue
        value = node[key]
        if isinstance(value, DictConfig) and is_dataclass(OmegaConf.get_type(value)):
            node[key] = dump_dataclass(OmegaConf.to_object(value))
        else:
            describe_objects(value)
