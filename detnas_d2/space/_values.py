"""Values as configs hand them over, turned into plain Python."""

from __future__ import annotations

import dataclasses
import json
import operator
import sys
from collections.abc import Iterable, Mapping
from typing import Any


def from_config(value: Any) -> Any:
    """
    A value of omegaconf's containers as the plain object that it stands for.

    LazyConfig wraps lists in ListConfig, and dataclass instances in them in structured
    DictConfigs. omegaconf is used only where the caller has loaded it: the space needs numpy alone.
    """
    omegaconf = sys.modules.get("omegaconf")
    if omegaconf is not None and isinstance(value, omegaconf.Container):
        return omegaconf.OmegaConf.to_object(value)
    return value


def as_tuple(value: Any) -> tuple[Any, ...] | None:
    """Any sequence (list, tuple, ListConfig, array) as a tuple; None if it isn't one."""
    value = from_config(value)
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return None
    try:
        return tuple(value)
    except TypeError:  # a 0-dimensional array says that it is iterable
        return None


def as_int(value: Any) -> int | None:
    """An integer of any kind (numpy's too) as an int; None for bools, floats and all else."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def as_json(value: Any) -> str:
    """JSON of dataclasses, sequences, numbers and texts; TypeError for what has no such form."""
    return json.dumps(value, default=_plain, sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    value = from_config(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    number, items = as_int(value), as_tuple(value)
    if number is None and items is None:
        raise TypeError(f"a {type(value).__name__} has no plain form")
    return items if number is None else number
