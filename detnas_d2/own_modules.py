"""Modules of one's own in LazyConfig files: where they are found, and what to do where not."""

from __future__ import annotations

import builtins
import os
import re
import sys
import traceback
from dataclasses import is_dataclass
from typing import Any

from .trust import calls

_CONFIGS = "detectron2._cfg_loader"  # where Detectron2 puts config files that others import
_NOT_FOUND = re.compile(r"Error loading '([^']+)'")  # of Detectron2's locate()
_NO_FILE = re.compile(r"\.py (?:has to|does not) exist")  # of its relative imports
DECORATOR = (
    "A choice's class needs a decorator of its own, also where the one that it derives from has "
    "it: @dataclass(frozen=True)."
)
_OF_CONFIG = (
    "is defined in the config file, where no other process finds it. Move it to a module of its "
    "own and import it by its full name from the working directory, as in `from package.module "
    "import ...`."
)
_RELATIVE = (
    "A relative import loads a config file, whose classes and functions can't be found again by "
    "name. Import a module of your own by its full name from the working directory, as in "
    "`from package.module import ...`."
)


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
    return "\n".join(text for text in (what, _advice(path, error)) if text)


def _advice(path: str, error: BaseException) -> str:
    text = str(error)
    frames = list(traceback.walk_tb(error.__traceback__))
    files = [os.path.basename(frame.f_code.co_filename) for frame, _ in frames]
    # a dataclass in a config file: its module can't be found
    if _CONFIGS in text or (isinstance(error, AttributeError) and "dataclasses.py" in files):
        return _RELATIVE
    if isinstance(error, ImportError) and _NO_FILE.search(text):
        return f"If it is no config file that is meant: {_RELATIVE}"
    if isinstance(error, ImportError) and (target := _NOT_FOUND.search(text)):
        return why_not_found(target[1], text)
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _where_modules_are(os.path.join(os.path.dirname(path), f"{error.name}.py"))
    if isinstance(error, TypeError):
        called = frames[-1][0].f_locals.get("cls") if frames else None  # by instantiate()
        if "non-frozen dataclass from a frozen" in text or lacks_decorator(called):
            return DECORATOR
    return ""


def why_not_found(target: str, error: str) -> str:
    """What to do about a `_target_` that can't be imported; empty where its name is at fault.

    Args:
        error: what the import said.
    """
    if _in_config(target):
        return f"{target.rpartition('.')[2]} {_OF_CONFIG}"
    return _where_modules_are() if "ModuleNotFoundError" in error else ""


def lacks_decorator(cls: Any) -> bool:
    """Whether a class derives from a dataclass without being made one itself."""
    return isinstance(cls, type) and is_dataclass(cls) and "__dataclass_params__" not in vars(cls)


def calls_out_of_reach(node: Any) -> str:
    """What is wrong with what a config, in plain dicts and lists, calls of a config file, its own
    or another: no other process finds it by its name. Empty where there is none."""
    targets = dict.fromkeys(
        target
        if isinstance(target, str)
        else f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', '')}"
        for _, _, target in calls(node)
    )
    for found, what in (
        ([t for t in targets if t.startswith(_CONFIGS)], f"of another config file. {_RELATIVE}"),
        ([t for t in targets if _in_config(t)], f"that {_OF_CONFIG}"),
    ):
        if found:
            return f"calls {', '.join(t.rpartition('.')[2] for t in found)} {what}"
    return ""


def _in_config(target: str) -> bool:
    """Whether a `_target_` is of the config file itself, which Python takes for its builtins."""
    module, _, name = target.rpartition(".")
    return module == "builtins" and not hasattr(builtins, name)


def _where_modules_are(beside: str = "") -> str:
    """`beside`: the file that is meant where the module lies beside the config."""
    module = os.path.relpath(beside or ".").removesuffix(".py").replace(os.sep, ".")
    known = os.path.isfile(beside) and module.replace(".", "").isidentifier()
    return (
        f"Modules of your own are found from the working directory, here {os.getcwd()!r},"
        + (f" as in `from {module} import ...`" if known else "")
        + " and from the folders in PYTHONPATH."
    )
