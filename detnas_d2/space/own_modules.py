"""Modules of one's own in LazyConfig files: where they are found, and what to do where not."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

_CONFIGS = "detectron2._cfg_loader"  # where Detectron2 puts config files that others import


def find_own_modules() -> None:
    """Let configs name modules that lie in the working directory, as `python -m` does."""
    folder = os.getcwd()
    if folder not in sys.path and "" not in sys.path:
        sys.path.insert(1, folder)  # behind the script's own folder


def why_not_read(path: str, error: BaseException) -> str:
    """What an error in a config file was, and what to do where a module of one's own is the cause.

    Args:
        path: the config file.
    """
    what = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    files = [os.path.basename(frame.filename) for frame in frames]
    # a dataclass in a config file: its module can't be found
    if _CONFIGS in what or (isinstance(error, AttributeError) and "dataclasses.py" in files):
        return f"{what}\n{relative_import(path)}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name
        beside = os.path.join(os.path.dirname(path), f"{name}.py")
        advice = f" as in `{_import(path, name)}`" if os.path.isfile(beside) else ""
        return (
            f"{what}\nModules of your own are found from the working directory, here "
            f"{os.getcwd()!r},{advice} and from the folders in PYTHONPATH."
        )
    return what


def targets_in_configs(node: Any) -> Iterator[str]:
    """The `_target_`s, at any depth of plain dicts and lists, that are classes and functions of a
    config file, where no other process can find them."""
    if isinstance(node, list):
        for item in node:
            yield from targets_in_configs(item)
    elif isinstance(node, dict):
        target = node.get("_target_")
        if not isinstance(target, str):
            target = f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', '')}"
        if target.startswith(_CONFIGS):
            yield target.rpartition(".")[2]
        yield from targets_in_configs(list(node.values()))


def relative_import(path: str) -> str:
    """What to do about a class that a config file imports as if it were another config file's."""
    return (
        "A relative import loads a config file, whose classes and functions can't be found again "
        "by name. Import a module of your own by its full name from the working directory, as in "
        f"`{_import(path, 'blocks')}`."
    )


def _import(path: str, name: str) -> str:
    """The import of what lies beside a config file."""
    folder = os.path.relpath(os.path.dirname(path) or ".")
    package = "" if folder == "." else folder.replace(os.sep, ".") + "."
    return f"from {package}{name} import ..."
