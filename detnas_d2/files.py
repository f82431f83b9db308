"""Files that are whole on the disk or not there at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


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
    temporary = path.with_name(f"{path.name}.tmp")
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
