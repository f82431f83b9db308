"""Objects that stand in a config where nodes are expected, and text that is meant as it is."""

from __future__ import annotations

import os
import re
from dataclasses import is_dataclass
from typing import Any

from detectron2.config import LazyCall
from detectron2.config.instantiate import dump_dataclass
from detectron2.layers import ShapeSpec
from omegaconf import DictConfig, ListConfig, OmegaConf


def describe_objects(node: Any) -> None:
    """Write dataclass instances as the nodes that make them: ``space=SearchSpace(...)`` becomes
    what ``space=L(SearchSpace)(...)`` is.

    A run's config.yaml would otherwise keep their fields and forget their classes. So do
    Detectron2's ShapeSpecs, which are dataclasses at its head alone.

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
        elif isinstance(value, ShapeSpec):
            sides = {"height": value.height, "width": value.width, "stride": value.stride}
            node[key] = LazyCall(ShapeSpec)(channels=value.channels, **sides)
        else:
            describe_objects(value)


def plain_path(path: str) -> str:
    """A path as a config has to have it: ``${`` in it refers to nothing, ``???`` is a name."""
    if path == "???":
        return os.path.join(".", path)
    return re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", path)
