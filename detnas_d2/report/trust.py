"""What a report may run of a folder that is someone else's: classes of search spaces only."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from detectron2.utils.registry import locate
from omegaconf import Container, OmegaConf

from ..errors import DetNASError
from ..space import Choice, SearchSpace, Stage


class TrustError(DetNASError):
    """A config names something that a report doesn't run."""


def check_targets(node: Any, folder: Path) -> None:
    """Refuse a config that would make anything but spaces, stages, choices and algorithms.

    Args:
        node: of a config, interpolations and all.
        folder: of the step; modules that came with it are not imported.

    Raises:
        TrustError: naming the first ``_target_`` that is no such class.
        OmegaConfBaseException: an interpolation that can't be resolved.
    """
    plain = OmegaConf.to_container(node, resolve=True) if isinstance(node, Container) else node
    for target in _targets(plain):
        found = None
        if isinstance(target, str) and not _is_foreign(target.split("."), folder):
            found = locate(target)
        if not _is_allowed(found):
            raise TrustError(
                f"_target_ {target!r} is not run: a report makes only search spaces, stages, "
                "choices and search algorithms"
            )


def came_with(path: Path, folder: Path) -> bool:
    """Whether a file lies in a step's folder, or beside it and in none of the user's own: those of
    ``sys.path``, the working directory and this project's."""
    path, folder = path.resolve(), folder.resolve()
    if path.is_relative_to(folder):
        return True
    own = [Path.cwd(), Path(__file__).resolve().parents[2], *(Path(p).resolve() for p in sys.path)]
    return path.is_relative_to(folder.parent) and not any(
        p.is_relative_to(folder.parent) and path.is_relative_to(p) for p in own
    )


def _targets(node: Any) -> Iterator[Any]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _is_allowed(found: Any) -> bool:
    if not inspect.isclass(found):
        return False
    if issubclass(found, (SearchSpace, Stage, Choice)):
        return True
    arguments = set(inspect.signature(found).parameters)
    return hasattr(found, "run") and {"space", "limit", "seed"} <= arguments


def _is_foreign(parts: list[str], folder: Path) -> bool:
    """Whether it is the standard library's, or a module of the folder; imports nothing."""
    if parts[0] in sys.stdlib_module_names:
        return True
    path = None
    for part in parts:
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            return False
        if spec.origin and came_with(Path(spec.origin), folder):
            return True
        path = list(spec.submodule_search_locations or [])
    return False
