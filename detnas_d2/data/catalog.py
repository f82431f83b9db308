"""Lazy registration in Detectron2's catalogs, and a check of what is missing on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from detectron2.config import instantiate
from detectron2.data import DatasetCatalog, MetadataCatalog
from omegaconf.errors import OmegaConfBaseException

from detnas_d2.data.errors import DataError, MissingDatasetError
from detnas_d2.rules import did_you_mean

ROOT_VARIABLE = "DETECTRON2_DATASETS"
IMAGE_FOLDER = (
    "an image folder in ImageNet's form: train/<class>/*.JPEG and val/<class>/*.JPEG, the same "
    "class folders (ImageNet: n01440764 ...) in both"
)
SEARCH_PARTS = ("supernet", "search")
"""Into which data.splits and data.voc_splits split a training set."""


def datasets_root() -> Path:
    """The folder that holds the data sets: $DETECTRON2_DATASETS, else ./datasets."""
    return Path(os.environ.get(ROOT_VARIABLE, "datasets")).expanduser()


class MissingDataset(NamedTuple):
    """A data set that cannot be loaded: the first path it lacks, and what has to lie there."""

    name: str
    path: Path
    contents: str


# of each data set that is registered by this package: what was given as `builtin`
_registered: dict[str, Mapping[Path, str] | None] = {}


def register_dataset(
    name: str,
    load: Callable[[], Sequence[dict[str, Any]]],
    builtin: Mapping[Path, str] | None = None,
    **metadata: Any,
) -> None:
    """Registers a data set whose files need to exist only when it is loaded.

    Registering the same again does nothing. Of two that differ, the second is refused, on every
    Detectron2 version (its head ignores it in silence).

    Args:
        load: returns the dicts; called after the paths in the metadata were seen to exist.
        builtin: of a data set that is registered on import and gives way to another of its name:
            paths that have to exist, each with what has to lie there. They are looked at first.
        metadata: what MetadataCatalog is to hold.

    Raises:
        DataError: the name is taken by something else.
    """
    if name in DatasetCatalog:
        ours, replaceable = name in _registered, _registered.get(name) is not None
        known = MetadataCatalog.get(name)
        other = [(k, known.get(k), new) for k, new in metadata.items() if known.get(k) != new]
        if (ours and not other) or (builtin is not None and not replaceable):
            return  # the same, or someone's own choice of that name
        if not replaceable:
            by = f"with {other} (then, now)" if ours else "by other code"
            raise DataError(
                f"Data set {name!r} is already registered {by}: choose another name, or call "
                f"unregister_dataset({name!r}) first."
            )
        unregister_dataset(name)

    def load_checked() -> Sequence[dict[str, Any]]:
        if missing := missing_datasets(name):
            raise MissingDatasetError(describe_missing(missing))
        return load()

    DatasetCatalog.register(name, load_checked)
    MetadataCatalog.get(name).set(**metadata)
    _registered[name] = builtin


def unregister_dataset(name: str) -> None:
    """Takes a data set out of Detectron2's catalogs."""
    DatasetCatalog.remove(name)
    if name in MetadataCatalog.list():
        MetadataCatalog.remove(name)
    _registered.pop(name, None)


def missing_datasets(names: str | Iterable[str]) -> list[MissingDataset]:
    """Which of the data sets lack files, and what has to lie where; loads nothing.

    Covers this package's data sets and Detectron2's own (COCO and VOC form).

    Raises:
        DataError: a name that no data set is registered under.
    """
    names = [names] if isinstance(names, str) else list(names)
    missing = []
    for name in names:
        if name not in DatasetCatalog:
            hint = did_you_mean(name, DatasetCatalog.list())
            raise DataError(f"No data set is registered as {name!r}.{hint}")
        required = (*(_registered.get(name) or {}).items(), *_in_metadata(name).items())
        absent = (item for item in required if not item[0].exists())
        missing += [MissingDataset(name, *item) for item in islice(absent, 1)]
    return missing


def describe_missing(missing: Iterable[MissingDataset]) -> str:
    """The message for a user: which paths, what has to lie there, how to set the root."""
    names: dict[tuple[Path, str], list[str]] = {}
    for name, path, contents in missing:
        names.setdefault((path.absolute(), contents), []).append(name)
    lines = [
        f"Data set {' and '.join(sets)} is missing {path}\n  There has to lie: {contents}\n"
        for (path, contents), sets in names.items()
    ]
    now = "" if ROOT_VARIABLE in os.environ else "unset, which means "
    return (
        f"{''.join(lines)}Put the data there, or set {ROOT_VARIABLE} to the folder that holds the "
        f"data sets (now {now}{datasets_root()}), e.g.: export {ROOT_VARIABLE}=/path/to/datasets"
    )


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


def _in_metadata(name: str) -> dict[Path, str]:
    """The paths in the metadata of a COCO JSON file, a VOC folder or an image folder."""
    metadata = MetadataCatalog.get(name)
    required: dict[str, str] = {}
    image_root, json_file = metadata.get("image_root"), metadata.get("json_file")
    if image_root and json_file:
        source = ", unpacked from cocodataset.org" if name.startswith("coco_") else ""
        contents = f"the images in {image_root} and COCO's JSON file {json_file}{source}"
        required = {image_root: contents, json_file: contents}
    split = metadata.get("split")
    if folder := metadata.get("dirname"):
        parts = "Annotations/*.xml, ImageSets/Main/*.txt, JPEGImages/"
        required |= {
            folder: f"a folder in Pascal VOC's form: {parts}",
            f"{folder}/Annotations": "one XML file for each image, Annotations/<id>.xml",
            f"{folder}/ImageSets/Main/{split}.txt": "the ids of the split, one a line",
            f"{folder}/JPEGImages": "the images, JPEGImages/<id>.jpg",
        }
    if metadata.get("evaluator_type") == "classification":
        root = metadata.get("root")
        required |= {f"{root}/train": IMAGE_FOLDER, f"{root}/{split}": IMAGE_FOLDER}
    # Paths of another kind (http://...) are for Detectron2's PathManager to find.
    return {Path(path): text for path, text in required.items() if ":/" not in path}
