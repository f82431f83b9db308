"""Files that are whole on the disk or not there at all, and JSON of anyone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

TEMPORARY = ".tmp"
"""Ending of the other name under which a file is written."""


def sync_directory(folder: Path) -> None:
    """Bring the folder's entries to the disk: fsync of a new file does not do that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: str | os.PathLike[str], write: str | Callable[[BinaryIO], Any]) -> None:
    """Write to another name, bring it to the disk, and move it into place.

    Args:
        path: the file; its folder is made where missing.
        write: the text, or a function that writes to the open binary file.

    Raises:
        OSError, or what `write` raises; the former file, if any, is then still there, whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with open(temporary, "wb") as stream:
            if isinstance(write, str):
                stream.write(write.encode())
            else:
                write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def write_json(path: str | os.PathLike[str], content: Any, indent: int | None = None) -> None:
    """`write_atomically` of JSON. Raises ValueError for NaN and infinity, which JSON lacks."""
    write_atomically(path, json.dumps(content, allow_nan=False, indent=indent) + "\n")


def parse_json(content: str | bytes) -> Any:
    """``json.loads`` of what may be anyone's.

    Raises:
        ValueError: no JSON, or nested too deeply.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
