"""Lazy registration in Detectron2's catalogs, and a check of what is missing on disk."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from detectron2.config import instantiate
from detectron2.data import DatasetCatalog, MetadataCatalog
from omegaconf.errors import OmegaConfBaseException

from detnas_d2.data.errors import DataError, MissingDatasetError

ROOT_VARIABLE = "DETECTRON2_DATASETS"


def datasets_root() -> Path:
    """The folder that holds the data sets: $DETECTRON2_DATASETS, else ./datasets."""
    return Path(os.environ.get(ROOT_VARIABLE, "datasets")).expanduser()


class MissingDataset(NamedTuple):
    """A data set that cannot be loaded: the first path it lacks, and what has to lie there."""

    name: str
    path: Path
    contents: str


@dataclass(frozen=True)
class _Registration:
    """What this package has put into the catalogs under one name."""

    metadata: Mapping[str, Any]
    required: dict[Path, str]
    is_builtin: bool = field(compare=False)


_registered: dict[str, _Registration] = {}


def register_dataset(
    name: str,
    load: Callable[[], Sequence[dict[str, Any]]],
    required: Mapping[Path, str],
    builtin: Mapping[Path, str] | None = None,
    **metadata: Any,
) -> None:
    """Registers a data set whose files need to exist only when it is loaded.

    Registering the same again does nothing. Of two that differ, the second is refused, on every
    Detectron2 version (its head ignores it in silence).

    Args:
        load: returns the dicts; called after the required paths were seen to exist.
        required: the paths that have to exist, each with what has to lie there.
        builtin: more of these, which come first, of a data set that is registered on import: it
            gives way to another registration of its name.
        metadata: what MetadataCatalog is to hold.

    Raises:
        DataError: the name is taken by something else.
    """
    new = _Registration(metadata, {**(builtin or {})}, builtin is not None)
    for path, contents in required.items():
        new.required.setdefault(path, contents)
    old = _registered.get(name)
    if name in DatasetCatalog:
        if old == new or (new.is_builtin and not (old and old.is_builtin)):
            return  # the same, or someone's own choice of that name
        if old is None or not old.is_builtin:
            by = f"from {_places(old)}, and now from {_places(new)}" if old else "by other code"
            raise DataError(
                f"Data set {name!r} is already registered {by}: choose another name, or call "
                f"unregister_dataset({name!r}) first."
            )
        unregister_dataset(name)

    def load_checked() -> Sequence[dict[str, Any]]:
        missing = _first_missing(name, new.required)
        if missing is not None:
            raise MissingDatasetError(describe_missing([missing]))
        return load()

    DatasetCatalog.register(name, load_checked)
    MetadataCatalog.get(name).set(**metadata)
    _registered[name] = new


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
            close = difflib.get_close_matches(name, DatasetCatalog.list(), n=3)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise DataError(f"No data set is registered as {name!r}.{hint}")
        ours = _registered.get(name)
        found = _first_missing(name, ours.required if ours else _required_by_metadata(name))
        if found is not None:
            missing.append(found)
    return missing


def describe_missing(missing: Iterable[MissingDataset]) -> str:
    """The message for a user: which paths, what has to lie there, how to set the root."""
    value = os.environ.get(ROOT_VARIABLE)
    state = f"now {value}" if value is not None else f"now unset, which means {datasets_root()}"
    names: dict[tuple[Path, str], list[str]] = {}
    for m in missing:
        names.setdefault((m.path.absolute(), m.contents), []).append(m.name)
    lines = [
        f"Data set {' and '.join(sets)} is missing {path}\n  There has to lie: {contents}"
        for (path, contents), sets in names.items()
    ]
    lines.append(
        f"Put the data there, or set {ROOT_VARIABLE} to the folder that holds the data sets "
        f"({state}), e.g.: export {ROOT_VARIABLE}=/path/to/datasets"
    )
    return "\n".join(lines)


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


def _first_missing(name: str, required: Mapping[Path, str]) -> MissingDataset | None:
    for path, contents in required.items():
        if not path.exists():
            return MissingDataset(name, path, contents)
    return None


def _required_by_metadata(name: str) -> dict[Path, str]:
    """What a data set that Detectron2 or a user registered needs, as its metadata tells."""
    metadata = MetadataCatalog.get(name)
    required: dict[Path, str] = {}
    image_root, json_file = metadata.get("image_root"), metadata.get("json_file")
    if image_root and json_file:
        source = ", unpacked from cocodataset.org" if name.startswith("coco_") else ""
        contents = f"the images in {image_root} and COCO's JSON file {json_file}{source}"
        required = {Path(image_root): contents, Path(json_file): contents}
    if dirname := metadata.get("dirname"):
        required.update(voc_requirements(Path(dirname), str(metadata.get("split"))))
    # Paths of another kind (http://...) are for Detectron2's PathManager to find.
    return {path: text for path, text in required.items() if ":/" not in str(path)}


def voc_requirements(dirname: Path, split: str) -> dict[Path, str]:
    """What has to lie in a folder in Pascal VOC's form."""
    return {
        dirname: "a folder in Pascal VOC's form: Annotations/*.xml, ImageSets/Main/*.txt, "
        "JPEGImages/",
        dirname / "Annotations": "one XML file for each image, Annotations/<id>.xml",
        dirname / "ImageSets" / "Main" / f"{split}.txt": "the ids of the split, one a line",
        dirname / "JPEGImages": "the images, JPEGImages/<id>.jpg",
    }


def _places(registration: _Registration) -> str:
    return ", ".join(str(path) for path in registration.required)
