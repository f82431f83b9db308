"""Image files: found by a name that is nearly right; missing or unreadable ones are named."""

from __future__ import annotations

import functools
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL.Image

from detnas_d2.data.errors import DataError, ImageReadError


def require_images(name: str, files: Iterable[str]) -> None:
    """Check that image files are there; lists each folder once, opens none.

    Raises:
        DataError: with how many are missing, and the first.
    """
    files = list(files)
    there = {
        folder: set(os.listdir(folder)) if os.path.isdir(folder) else set()
        for folder in {os.path.dirname(file) for file in files}
    }
    missing = sorted(f for f in files if os.path.basename(f) not in there[os.path.dirname(f)])
    if missing:
        raise DataError(
            f"Data set {name!r}: {len(missing)} of its {len(files)} images are not there, for "
            f"example {missing[0]}. Put them there, or take them out of the annotations."
        )


def listed(folder: Path, suffix: str = "") -> Iterator[Path]:
    """What lies in a folder, but for the ._ files that macOS leaves in zips and on other disks."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if not path.name.startswith(".") and path.suffix.lower().startswith(suffix):
            yield path


def find_file(folder: Path, name: str) -> str | None:
    r"""A file's name as it is on the disk, relative to the folder; None: it is not there.

    Found, too, with `\` for `/`, in capitals or not, and with letters composed otherwise (ü of two
    characters, as macOS writes it), where that is one file only.
    """
    try:
        if (folder / name).is_file():
            return name
        found = ""
        for part in name.replace("\\", "/").split("/"):
            there = _names(folder / found).get(_alike(part), set())
            if len(there) != 1:
                return None
            found = os.path.join(found, *there)
        return found if (folder / found).is_file() else None
    except (OSError, ValueError):  # e.g. a name too long, or with a null byte
        return None


def find_image(folder: Path, stem: str) -> Path | None:
    """The image of that name with any suffix that the image library reads; None: there is none."""
    for suffix in (".jpg", ".png"):
        path = folder / f"{stem}{suffix}"
        if path.exists():
            return path
    found = sorted(_images(folder).get(stem, ()))
    return folder / found[0] if found else None


@functools.lru_cache(64)
def _images(folder: Path) -> dict[str, set[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    readable = PIL.Image.registered_extensions()
    for path in listed(folder):
        if path.suffix.lower() in readable:
            names[path.stem].add(path.name)
    return names


@functools.lru_cache(64)
def _names(folder: Path) -> dict[str, set[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for name in os.listdir(folder) if folder.is_dir() else ():
        names[_alike(name)].add(name)
    return names


def forget_folders() -> None:
    """Files may have come since the folders were listed."""
    _images.cache_clear()
    _names.cache_clear()


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@dataclass(frozen=True)
class Explaining:
    """A mapper whose errors name the image and are ImageReadErrors."""

    mapper: Callable[[dict[str, Any]], Any]

    def __call__(self, record: dict[str, Any]) -> Any:
        try:
            return self.mapper(record)
        except Exception as error:
            raise ImageReadError(
                f"Image {record.get('file_name', '(without file_name)')} could not be read or "
                f"mapped ({type(error).__name__}: {error}). Repair it and its annotations, or "
                "remove it from the data set."
            ) from error
