"""What a config calls (`_target_`): that it exists, and takes the arguments that are given."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from detectron2.utils.registry import locate
from omegaconf import DictConfig

from ..own_modules import why_not_found
from ..rules import did_you_mean
from .overrides import walk


def wrong_targets(cfg: DictConfig) -> Iterator[str]:
    """Targets of a config that can't be imported, and arguments that they do not take."""
    for key, node in walk(cfg):
        if isinstance(node, DictConfig) and "_target_" in node:
            yield from _call(node, key)


def _call(node: DictConfig, key: str) -> Iterator[str]:
    target = node._target_
    if isinstance(target, str):
        name = target
        try:
            target = locate(name)
        except Exception as e:  # importing a module runs its code
            cause = f": {type(e.__cause__).__name__}: {e.__cause__}" if e.__cause__ else ""
            advice = f"mend its name. {why_not_found(name, str(e))}".rstrip()
            yield f"{key}._target_: {name!r} can't be imported{cause}; {advice}"
            return
    names = _arguments(target)
    if names is None:
        return
    for given in map(str, node):
        if given in names or given == "_target_":
            continue
        advice = did_you_mean(given, names) or f" It takes {', '.join(names) or 'nothing'}."
        yield f"{key}.{given}: {getattr(target, '__name__', target)} takes no {given!r}.{advice}"


def _arguments(target: Any) -> list[str] | None:
    """The names of the arguments that a class or function takes; None where they are not known."""
    names: list[str] = []
    # a class that takes **kwargs hands them on to the next one
    functions = [target]
    if isinstance(target, type):
        functions = [vars(c)["__init__"] for c in target.__mro__ if "__init__" in vars(c)]
    for function in functions:
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # of C code, which has none
            return None
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names += [p.name for p in parameters if p.kind in named and p.name != "self"]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names
    return None
