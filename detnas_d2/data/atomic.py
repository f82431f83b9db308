"""Folders that are either whole or not there."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detnas_d2.data.errors import DataError
from detnas_d2.files import parse_json

MARKER = "made_by_detnas.json"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Wait until no other process is in it with the same file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_folder_once(
    folder: str | Path, parameters: Mapping[str, Any], write: Callable[[Path], None]
) -> Path:
    """Makes a folder of generated files, unless it is there already.

    The files are written beside it and moved into place when complete, so that a run that is
    killed half-way leaves nothing that could be taken for whole; its rest is removed by the next
    one. Concurrent calls wait for each other, and the later ones find the work done.

    Args:
        parameters: what the contents are a function of; kept in the folder's marker file.
        write: fills the (empty) folder that it is given.

    Raises:
        DataError: the folder exists with other parameters, or was not made here.
    """
    folder = Path(folder).absolute()
    wanted = json.loads(json.dumps(parameters))
    partial = f".{folder.name}.partial-"
    with locked(folder.parent / f".{folder.name}.lock"):
        if folder.exists():
            _check(folder, wanted)
            return folder
        for rest in folder.parent.glob(f"{partial}*"):
            shutil.rmtree(rest)
        temporary = Path(tempfile.mkdtemp(prefix=partial, dir=folder.parent))
        try:
            write(temporary)
            (temporary / MARKER).write_text(json.dumps(wanted, indent=1, sort_keys=True) + "\n")
            temporary.chmod(0o755)  # mkdtemp's is private
            temporary.rename(folder)
        except BaseException:
            shutil.rmtree(temporary)
            raise
    return folder


def _check(folder: Path, wanted: dict[str, Any]) -> None:
    try:
        found = parse_json((folder / MARKER).read_text())
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder} exists, but has no readable {MARKER}: it was not made by this command. "
            "Choose another folder, or remove it."
        ) from error
    if found != wanted:
        names = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
        differences = "; ".join(f"{k}: {found.get(k)} there, {wanted.get(k)} now" for k in names)
        raise DataError(
            f"{folder} was made with other parameters ({differences}). Choose another folder, or "
            "remove it."
        )
