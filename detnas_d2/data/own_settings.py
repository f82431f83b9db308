"""The lines of settings.py, by which a user's own data and machine are named."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from detectron2.config import LazyConfig

from detnas_d2.data.errors import DataError

_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Settings:
    """The lines of settings.py; one that is missing has its default."""

    annotations: str = ""
    images: str = ""
    name: str = ""
    machine: str = "cpu"
    weights: str = ""


def own_settings(folder: str | Path) -> Settings:
    """
    Args:
        folder: of configs, with settings.py.

    Raises:
        DataError: it has none.
    """
    file = Path(folder) / "settings.py"
    if not file.is_file():
        raise DataError(f"{folder} has no settings.py: give configs/custom, or a copy of it.")
    lines = {}
    for line in fields(Settings):
        with contextlib.suppress(KeyError):  # as LazyConfig tells that it is not there
            (lines[line.name],) = LazyConfig.load(str(file), (line.name,))
    return Settings(**lines)


def check_settings(
    annotations: str, images: str, name: str, machine: str = "", machines: Collection[str] = ()
) -> None:
    """Look at all lines of settings.py.

    Args:
        machines: those that there are; none: the machine is not looked at.

    Raises:
        DataError: naming every line that can't be used.
    """
    wrong = list(_wrong_lines(annotations, images, name))
    if machines and machine not in machines:
        wrong.append(f"machine is {machine!r}; there are {', '.join(machines)}.")
    if len(wrong) > 1:
        lines = "\n".join(f"  {line}" for line in wrong)
        raise DataError(f"{len(wrong)} lines of settings.py can't be used:\n{lines}\n")
    if wrong:
        raise DataError(f"settings.py: {wrong[0]}")


def _wrong_lines(annotations: str, images: str, name: str) -> Iterator[str]:
    if not annotations:
        yield (
            "annotations is not set: in settings.py beside this config, give your COCO JSON file "
            "or VOC folder, the folder of the images, a name, and the machine (docs/own_data.md)."
        )
    elif not Path(annotations).expanduser().exists():
        yield f"annotations is {annotations!r}, which is not there (from {Path.cwd()})."
    if images and not Path(images).expanduser().is_dir():
        yield (
            f"images is {images!r}, which is no folder (from {Path.cwd()}): it is what the file "
            "names in the annotations are relative to."
        )
    if not _NAME.fullmatch(name):
        yield (
            f"name is {name!r}; expected a name for your data, of letters, digits, '_', '-' and "
            "'.', for the folder output/<name>."
        )
