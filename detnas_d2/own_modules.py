"""Modules of one's own in LazyConfig files: where they are found, and what to do where not."""

from __future__ import annotations

import ast
import builtins
import os
import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

_CONFIGS = "detectron2._cfg_loader"  # where Detectron2 puts config files that others import
_NOT_FOUND = re.compile(r"Error loading '([^']+)'")  # of Detectron2's locate()
_NO_FILE = re.compile(r": (\S.*\.py) (?:has to|does not) exist")  # of its relative imports
DECORATOR = (
    "A choice's class needs a decorator of its own, also where the one that it derives from has "
    "it: @dataclass(frozen=True)."
)
_OF_CONFIG = (
    "is defined in the config file, where no other process finds it. Move it to a module of its "
    "own and import it by its full name from the working directory, as in `from package.module "
    "import ...`."
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
        return relative_import(path)
    if isinstance(error, ImportError) and (missing := _NO_FILE.search(text)):
        return f"If it is no config file that is meant: {relative_import(path, missing[1])}"
    if isinstance(error, ImportError) and (target := _NOT_FOUND.search(text)):
        return why_not_found(target[1], text)
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _where_modules_are(path, error.name)
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
    if in_config(target):
        return f"{target.rpartition('.')[2]} {_OF_CONFIG}"
    if "ModuleNotFoundError" in error:
        return _where_modules_are("", target.partition(".")[0])
    return ""


def lacks_decorator(cls: Any) -> bool:
    """Whether a class derives from a dataclass without being made one itself."""
    return isinstance(cls, type) and is_dataclass(cls) and "__dataclass_params__" not in vars(cls)


def in_config(target: str) -> bool:
    """Whether a `_target_` is of the config file itself, which Python takes for its builtins."""
    module, _, name = target.rpartition(".")
    return module == "builtins" and not hasattr(builtins, name)


def defined_in_config(node: Any) -> list[str]:
    """What a config, in plain dicts and lists, calls that its file itself defines, and that nobody
    finds by its name."""
    return [target.rpartition(".")[2] for target in _targets(node) if in_config(target)]


def explain_defined_in_config(names: list[str]) -> str:
    """What to do about what `defined_in_config` has found."""
    return f"{', '.join(names)} {_OF_CONFIG}"


def targets_in_configs(node: Any) -> list[str]:
    """What a config, in plain dicts and lists, calls of another config file, where no other process
    can find it."""
    found = (target for target in _targets(node) if target.startswith(_CONFIGS))
    return [target.rpartition(".")[2] for target in found]


def _targets(node: Any) -> Iterator[str]:
    """The `_target_`s at any depth, as dotted names."""
    if isinstance(node, list):
        for item in node:
            yield from _targets(item)
    elif isinstance(node, dict):
        if (target := node.get("_target_")) is not None:
            own = f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', '')}"
            yield target if isinstance(target, str) else own
        yield from _targets(list(node.values()))


def relative_import(path: str, missing: str = "") -> str:
    """What to do about a class that a config file imports as if it were another config file's.

    Args:
        path: the config file.
        missing: the file that the import leads to, where there is none.
    """
    found = _beneath(missing) if missing else _module_of_own(path, set())
    example = _import(found) if found else ""
    return (
        "A relative import loads a config file, whose classes and functions can't be found again "
        "by name. Import a module of your own by its full name from the working directory, as in "
        f"`{example or 'from package.module import ...'}`."
    )


def _where_modules_are(path: str, name: str) -> str:
    beside = os.path.join(os.path.dirname(path), f"{name}.py")
    example = _import(beside) if path and os.path.isfile(beside) else ""
    advice = f" as in `{example}`" if example else ""
    return (
        f"Modules of your own are found from the working directory, here {os.getcwd()!r},{advice} "
        "and from the folders in PYTHONPATH."
    )


def _module_of_own(path: str, seen: set[str]) -> str | None:
    """The first file with a class that a config file imports relatively, or one that it imports."""
    seen.add(path)
    try:
        with open(path, encoding="utf-8") as file:
            body = ast.parse(file.read()).body
    except (OSError, ValueError, SyntaxError):
        return None
    for node in body:
        if not (isinstance(node, ast.ImportFrom) and node.level and node.module):
            continue
        folder = os.path.join(os.path.dirname(path) or ".", *[".."] * (node.level - 1))
        file_ = os.path.normpath(os.path.join(folder, *node.module.split("."))) + ".py"
        if _defines_class(file_):
            return file_
        if file_ not in seen and (found := _module_of_own(file_, seen)):
            return found
    return None


def _defines_class(path: str) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            return any(isinstance(node, ast.ClassDef) for node in ast.parse(file.read()).body)
    except (OSError, ValueError, SyntaxError):
        return False


def _beneath(missing: str) -> str | None:
    """The file of the working directory that a path ends with, the longest such end."""
    parts = os.path.normpath(missing).split(os.sep)
    ends = (os.path.join(*parts[i:]) for i in range(1, len(parts)))
    return next((end for end in ends if os.path.isfile(end)), None)


def _import(file: str) -> str:
    """The import of a module by its full name; empty where the working directory has it not."""
    parts = os.path.relpath(file).removesuffix(".py").split(os.sep)
    if not all(part.isidentifier() for part in parts):
        return ""
    return f"from {'.'.join(parts)} import ..."
