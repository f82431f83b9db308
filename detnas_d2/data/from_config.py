"""Data sets that a config brings along: its key `datasets`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detectron2.config import instantiate
from detectron2.utils.registry import locate
from omegaconf.errors import OmegaConfBaseException

from detnas_d2.data.coco import register_coco
from detnas_d2.data.errors import DataError
from detnas_d2.data.voc import register_voc_folder

_TARGETS = (register_coco, register_voc_folder)


def register_from_config(datasets: Mapping[str, Any] | None) -> None:
    """Registers what a config's `datasets` lists; a run's config.yaml has it too, so that every
    process that loads one knows its data sets and their classes.

    Args:
        datasets: any key -> a call of `register_coco` or `register_voc_folder`, which read nothing.

    Raises:
        DataError: another call, wrong arguments, or a name that is taken by something else.
    """
    for key, node in (datasets or {}).items():
        target = node.get("_target_") if isinstance(node, Mapping) else None
        target = locate(target) if isinstance(target, str) else target
        if target not in _TARGETS:
            names = " or ".join(f"L({t.__name__})(...)" for t in _TARGETS)
            raise DataError(f"datasets.{key}: expected {names}, got {node!r}.")
        try:
            instantiate(node)
        except TypeError as error:
            raise DataError(f"datasets.{key}: {error}") from error
        except OmegaConfBaseException as error:  # names and paths that are meant as they are
            raise DataError(
                f"datasets.{key}: {error}\nA config reads '???' as a value to be set, and '${{x}}' "
                "as a reference. Give class names with such signs as JSON text, with \\u0024 for "
                """$: class_names='["cup", "???"]'; or left out, to be read from a COCO file. """
                "In a path, ${ is written \\${."
            ) from error
