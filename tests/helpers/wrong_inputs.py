"""One wrong input: what is typed, which files are broken before, what the message has to say."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Prepare = Callable[[Path], None]


@dataclass(frozen=True)
class Wrong:
    """A command that has to end with a message.

    Args:
        command: program, step and arguments, separated by blanks; `python -m MODULE` without a
            step.
        says: parts of the message, between " … ": what is wrong, where, and what to do.
        prepare: breaks files of the folder that the command runs in.
        begun: the run may have written to its output folder, for it had begun rightly.
    """

    command: str
    says: str
    prepare: Prepare = lambda folder: None
    begun: bool = False


begun = functools.partial(Wrong, begun=True)


def at(start: str) -> Callable[..., Wrong]:
    """Of the arguments behind that start of the command."""
    return lambda arguments, *rest: Wrong(f"{start} {arguments}", *rest)


def copy_workspace(source: Path, folder: Path) -> None:
    """The steps are copied, not what other tests have left; images are linked."""
    (folder / "configs").mkdir(parents=True)
    (folder / "configs/common").symlink_to((source / "configs/common").resolve())
    shutil.copytree(
        source / "configs/tiny",
        folder / "configs/tiny",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for step in ("step1", "step2", "step3", "step4"):
        shutil.copytree(source / "output" / step, folder / "output" / step)
    (folder / "datasets/digits").mkdir(parents=True)
    for path in (source / "datasets/digits").iterdir():
        target = folder / "datasets/digits" / path.name
        if path.name in ("cls", "JPEGImages"):
            target.mkdir()
            for image in path.iterdir():
                (target / image.name).symlink_to(image)
        elif path.is_dir():
            shutil.copytree(path, target)
        else:
            shutil.copyfile(path, target)


def snapshot(folder: Path, *, deep: bool = True) -> dict[str, str]:
    """Relative path -> hash of the content, of all files below or right in it; links are
    followed."""
    found = {}
    for root, _, names in os.walk(folder, followlinks=True):
        for name in names:
            path = Path(root, name)
            key = os.path.relpath(path, folder)
            found[key] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "-"
        if not deep:
            break
    return found


def write(path: str, content: str | bytes) -> Prepare:
    """Writes a file; in the place of a link to one, so that the original stays."""

    def prepare(folder: Path) -> None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    return prepare


def edit(path: str, change: Callable[[bytes], bytes]) -> Prepare:
    """Replaces the bytes of a file."""
    return lambda folder: write(path, change((folder / path).read_bytes()))(folder)


def edit_json(path: str, change: Callable[[Any], Any]) -> Prepare:
    """Changes the content of a JSON file in place."""

    def changed(content: bytes) -> bytes:
        record = json.loads(content)
        change(record)
        return json.dumps(record).encode()

    return edit(path, changed)


def copy(source: str, target: str) -> Prepare:
    """A copy of a file or of a folder of files."""

    def prepare(folder: Path) -> None:
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        if (folder / source).is_dir():
            shutil.copytree(folder / source, folder / target)
        else:
            shutil.copyfile(folder / source, folder / target)

    return prepare


def both(*steps: Prepare) -> Prepare:
    def prepare(folder: Path) -> None:
        for step in steps:
            step(folder)

    return prepare
