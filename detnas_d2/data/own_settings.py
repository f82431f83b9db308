"""The lines of settings.py, by which a user's own data and machine are named."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from detectron2.config import LazyConfig

from detnas_d2.data.errors import DataError


@dataclass(frozen=True)
class Settings:
    """The lines of settings.py; one that is missing has its default."""

    annotations: str = ""
    images: str = ""
    name: str = ""
    machine: str = "cpu"
    weights: str = ""


def own_settings(folder: str | Path) -> tuple[Settings, Any]:
    """
    Args:
        folder: of configs, with settings.py and machines.py.

    Returns:
        the settings, and the machine's row.

    Raises:
        DataError: there is no settings.py; else naming every line of it that can't be used.
    """
    file = Path(folder) / "settings.py"
    if not file.is_file():
        raise DataError(f"{folder} has no settings.py: give configs/custom, or a copy of it.")
    lines = {}
    for line in fields(Settings):
        with contextlib.suppress(KeyError):  # as LazyConfig tells that it is not there
            (lines[line.name],) = LazyConfig.load(str(file), (line.name,))
    own = Settings(**lines)
    (machines,) = LazyConfig.load(str(file.with_name("machines.py")), ("machines",))
    here, wrong = f"(from {Path.cwd()})", []
    if not own.annotations:
        wrong.append(
            "annotations is not set: in settings.py beside this config, give your COCO JSON file "
            "or VOC folder, the folder of the images, a name, and the machine (docs/own_data.md)."
        )
    elif not Path(own.annotations).expanduser().exists():
        wrong.append(f"annotations is {own.annotations!r}, which is not there {here}.")
    if own.images and not Path(own.images).expanduser().is_dir():
        wrong.append(
            f"images is {own.images!r}, which is no folder {here}: it is what the file names in "
            "the annotations are relative to."
        )
    if not re.fullmatch(r"\w[\w.-]*", own.name):
        wrong.append(
            f"name is {own.name!r}; expected a name for your data, of letters, digits, '_', '-' "
            "and '.', for the folder output/<name>."
        )
    if own.machine not in machines:
        wrong.append(f"machine is {own.machine!r}; there are {', '.join(machines)}.")
    if wrong:
        head = f"{len(wrong)} line{'s' * (len(wrong) > 1)} of settings.py can't be used:"
        raise DataError("\n  ".join([head, *wrong]))
    return own, machines[own.machine]
