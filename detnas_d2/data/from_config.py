"""Data sets that a config brings along: its key `datasets`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detectron2.config import instantiate
from omegaconf.errors import OmegaConfBaseException

from detnas_d2.data.errors import DataError


def register_from_config(datasets: Mapping[str, Any] | None) -> None:
    """Registers what a config's `datasets` lists; a run's config.yaml has it too, so that every
    process that loads one knows its data sets and their classes.

    Args:
        datasets: any key -> a call of `register_coco`, `register_voc_folder` or a user's own
            function, which reads nothing yet.

    Raises:
        DataError: no call, wrong arguments, or a name that is taken by something else.
    """
    for key, node in (datasets or {}).items():
        if not isinstance(node, Mapping) or "_target_" not in node:
            raise DataError(
                f"datasets.{key}: expected L(register_coco)(...), L(register_voc_folder)(...) or a "
                f"call of your own function, got {node!r}."
            )
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
