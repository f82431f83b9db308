"""Modules of one's own in LazyConfig files: where they are found, and what to do where not."""

from __future__ import annotations

import builtins
import os
import sys
import traceback
from typing import Any

from .trust import calls

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
    text = f"{type(error).__name__}: {error}"
    frames = traceback.walk_tb(error.__traceback__)
    files = [os.path.basename(frame.f_code.co_filename) for frame, _ in frames]
    # a dataclass in a config file that others import: its module can't be found
    dataclass = isinstance(error, AttributeError) and "dataclasses.py" in files
    if not (dataclass or _CONFIGS in text or isinstance(error, ImportError)):
        return text
    beside = os.path.join(os.path.dirname(path), f"{getattr(error, 'name', None)}.py")
    module = os.path.relpath(beside).removesuffix(".py").replace(os.sep, ".")
    known = os.path.isfile(beside) and module.replace(".", "").isidentifier()
    return f"{text}\n{_where_modules_are(module) if known else _where_modules_are()}"


def why_not_found(target: str, error: str) -> str:
    """What to do about a `_target_` that can't be imported; empty where its name is at fault.

    Args:
        error: what the import said.
    """
    of_module = _in_config(target) or "ModuleNotFoundError" in error
    return _where_modules_are() if of_module else ""


def calls_out_of_reach(node: Any) -> str:
    """What is wrong with what a config, in plain dicts and lists, calls of a config file, its own
    or another: no other process finds it by its name. Empty where there is none."""
    targets = dict.fromkeys(
        target
        if isinstance(target, str)
        else f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', '')}"
        for _, _, target in calls(node)
    )
    found = [t.rpartition(".")[2] for t in targets if t.startswith(_CONFIGS) or _in_config(t)]
    return f"calls {', '.join(found)} of a config file. {_where_modules_are()}" if found else ""


def _in_config(target: str) -> bool:
    """Whether a `_target_` is of the config file itself, which Python takes for its builtins."""
    module, _, name = target.rpartition(".")
    return module == "builtins" and not hasattr(builtins, name)


def _where_modules_are(module: str = "package.module") -> str:
    return (
        f"Modules of your own are found from the working directory, here {os.getcwd()!r}, as in "
        f"`from {module} import ...`, and from the folders in PYTHONPATH. Not so what is defined "
        "in a config file, or comes by a relative import (`from .x import y`), which loads a "
        "config file: no other process finds it by its name. Move it to a module."
    )
