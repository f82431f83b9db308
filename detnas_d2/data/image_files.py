"""Image files, found by a name that is nearly right."""

from __future__ import annotations

import functools
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import PIL.Image


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
        plain = folder / name
        if plain.name in _names(plain.parent, "is_file").get(_alike(plain.name), ()):
            return name
        found = ""
        *folders, file = name.replace("\\", "/").split("/")
        for part, kind in (*((part, "is_dir") for part in folders), (file, "is_file")):
            there = _names(folder / found, kind).get(_alike(part), ())
            if len(there) != 1:
                return None
            found = os.path.join(found, *there)
        return found
    except (OSError, ValueError):  # e.g. a name too long, or with a null byte
        return None


def find_image(folder: Path, stem: str) -> Path | None:
    """The image of that name with any suffix that the image library reads; None: there is none."""
    found = _images(folder).get(stem, ())
    usual = min(found, key=lambda name: (not name.endswith((".jpg", ".png")), name), default=None)
    return folder / usual if usual else None


@functools.cache
def _images(folder: Path) -> dict[str, set[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    readable = PIL.Image.registered_extensions()
    for path in listed(folder):
        if path.suffix.lower() in readable:
            names[path.stem].add(path.name)
    return names


@functools.cache
def _names(folder: Path, kind: str) -> dict[str, set[str]]:
    """Names of its files or folders, by how they are alike: each folder is listed once."""
    names: dict[str, set[str]] = defaultdict(set)
    for entry in os.scandir(folder) if folder.is_dir() else ():
        if getattr(entry, kind)():
            names[_alike(entry.name)].add(entry.name)
    return names


def forget_folders() -> None:
    """Files may have come since the folders were listed."""
    _images.cache_clear()
    _names.cache_clear()


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
