"""Images that are missing or can't be read, said with their names."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from detnas_d2.data.errors import DataError, ImageReadError


def require_images(name: str, files: Iterable[str]) -> None:
    """Check that image files are there; lists each folder once, opens none.

    Raises:
        DataError: with how many are missing, and the first.
    """
    folders: dict[str, set[str]] = defaultdict(set)
    for file in files:
        folder, _, base = file.rpartition("/")
        folders[folder].add(base)
    missing = sorted(
        os.path.join(folder, base)
        for folder, bases in folders.items()
        for base in bases - (set(os.listdir(folder or ".")) if os.path.isdir(folder) else set())
    )
    if missing:
        total = sum(map(len, folders.values()))
        raise DataError(
            f"Data set {name!r}: {len(missing)} of its {total} images are not there, for example "
            f"{missing[0]}. Put them there, or take them out of the annotations."
        )


@dataclass(frozen=True)
class Explaining:
    """A mapper whose errors name the image and are ImageReadErrors."""

    mapper: Callable[[dict[str, Any]], Any]

    def __call__(self, record: dict[str, Any]) -> Any:
        try:
            return self.mapper(record)
        except Exception as error:
            raise unreadable(record, error) from error


def unreadable(record: Mapping[str, Any], error: Exception) -> ImageReadError:
    """The error for an image that a mapper failed on."""
    what = f"{type(error).__name__}: {error}"
    return ImageReadError(
        f"Image {record.get('file_name', '(without file_name)')} could not be read or mapped "
        f"({what}). Repair it and its annotations, or remove it from the data set."
    )
