"""Step 0 of configs/custom: a user's own data, brought into one form in output/NAME/data.

    python -m detnas_d2.data.own configs/custom

Reads settings.py of that folder of configs. What can't be used is left out and listed; train.json,
val.json and test.json are written once, and anew where the annotations have changed and nothing
was trained on them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectron2.config import LazyConfig

from detnas_d2.commands import command, new_parser
from detnas_d2.data.check.judge import SHORT_EDGE, own_parts, read_clean
from detnas_d2.data.check.mended import write_parts
from detnas_d2.data.check.sources import sources_of
from detnas_d2.data.errors import DataError
from detnas_d2.data.findings import Severity
from detnas_d2.data.own_settings import check_settings, own_settings
from detnas_d2.files import write_atomically

logger = logging.getLogger(__name__)

_PROGRAM = "python -m detnas_d2.data.own"
_UNTRAINED = ("estimate.json", "random_architecture*.json")  # beside the data before any training


@dataclass(frozen=True)
class OwnDataset:
    """What the configs need to know.

    Attributes:
        files: the COCO JSON file of train, val and test.
        image_root: what their file names are relative to.
        class_names: in the order of the category ids.
        images: how many each part has; of train, those with boxes.
        short_edge: median of the shorter sides of the training images, in pixels.
    """

    files: dict[str, str]
    image_root: str
    class_names: list[str]
    images: dict[str, int]
    short_edge: int


def own_dataset(annotations: str, images: str, name: str) -> OwnDataset:
    """What step 0 has made of a user's data; nothing is read but its record.

    Raises:
        DataError: nothing was made, or of another path than settings.py names now.
    """
    record = _record(name)
    command = f"Run step 0 first: {_PROGRAM} configs/custom, or the folder of these configs."
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        made_of = known.pop("made_of")
        dataset = OwnDataset(**known)
        same = made_of["annotations"], made_of["images"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{record} can't be read ({error}). {command}") from error
    if same != (_place(annotations), _place(images or annotations)):
        raise DataError(f"{record} is of other data than settings.py names now. {command}")
    return dataset


def prepare(annotations: str, images: str, name: str, short_edge: int = SHORT_EDGE) -> OwnDataset:
    """Bring a user's data into one form, unless that is done.

    Args:
        annotations: a COCO JSON file or a VOC folder without image sets, dealt out by seed 0 (70,
            15 and 15% of the images); or a folder with splits of its own, which are kept.
        images: what file names are relative to; "": looked for near the annotations.
        name: of the data set; output/NAME/data is written.
        short_edge: of the machine's row, in pixels.

    Raises:
        DataError: a line that is not set, a path that is not there, annotations or images that
            can't be used, or others than those that output/NAME was made of and something was
            trained on. With nothing trained, the data are made anew.
    """
    check_settings(annotations, images, name)
    record, source = _record(name), Path(annotations).expanduser()
    made_of = {
        "source": _fingerprint(source),
        "annotations": _place(annotations),
        "images": _place(images or annotations),  # "": looked for there
    }
    folder = record.with_suffix("")
    is_there = record.is_file() and folder.is_dir()
    known = json.loads(record.read_text(encoding="utf-8")) if is_there else None
    # the same annotations may lie elsewhere now
    if known and known["made_of"] | {"annotations": made_of["annotations"]} != made_of:
        _forget(record, known["made_of"])
        known = None
    if known is None:
        known = _make(source, images, short_edge, folder)
    write_atomically(record, json.dumps({**known, "made_of": made_of}, indent=1) + "\n")
    return own_dataset(annotations, images, name)


def _record(name: str) -> Path:
    return Path("output", name, "data.json")


def _place(path: str) -> str:
    return str(Path(path).expanduser().resolve())


def _fingerprint(path: Path) -> str:
    """SHA-256 of what the annotation files hold, wherever they lie."""
    digest = hashlib.sha256()
    for file in sources_of(path):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _forget(record: Path, made_of: dict[str, str]) -> None:
    """Removes the record of other data and what was estimated with them, unless one has trained."""
    output, folder = record.parent, record.with_suffix("")
    untrained = [record, *(file for pattern in _UNTRAINED for file in output.glob(pattern))]
    what = f"{folder} was made of {made_of['annotations']}, images in "
    what += f"{made_of['images']}: the annotations have changed, or settings.py names others now"
    if {*output.glob("[!.]*")} - {folder, *untrained}:
        raise DataError(
            f"{what}. Choose another name in settings.py, or remove {output} with all that was "
            "trained."
        )
    logger.warning("%s. They are made anew.", what)
    for file in untrained:  # the record first: a folder without one is made anew
        file.unlink()


def _make(source: Path, images: str, short_edge: int, folder: Path) -> dict[str, Any]:
    """Writes the folder; returns the fields of OwnDataset."""
    folders = [Path(images).expanduser()] if images else []
    splits, findings = read_clean([source], folders, short_edge=short_edge)
    parts = own_parts(splits, findings)
    check = f"{_PROGRAM.replace('own', 'check')} {source}"
    if errors := "\n".join(map(str, findings.of(Severity.ERROR))):
        raise DataError(
            f"{source} can't be used:\n{errors}\nCorrect annotations or images in settings.py; all "
            f"findings: {check}"
        )
    if parts is None:
        raise DataError(
            f"{source} has the splits {', '.join(split.name for split in splits)}; expected "
            "train, val and test, or one split alone, which is then dealt out. New ones out of all "
            f"images: {check} --split FOLDER; then annotations = FOLDER."
        )
    for finding in findings.of():
        logger.warning(str(finding))
    shutil.rmtree(folder, ignore_errors=True)  # without a record
    write_parts(parts, folder, findings)
    train = parts.images["train"]
    counts = {part: len(found) for part, found in parts.images.items()}
    return {
        "files": {part: str(folder / f"{part}.json") for part in parts.images},
        "image_root": str(parts.root),
        "class_names": parts.classes,
        "images": {**counts, "train": sum(bool(image.objects) for image in train)},
        "short_edge": int(statistics.median(min(image.size) for image in train)),
    }


def prepare_folder(folder: Path) -> OwnDataset:
    """Prepare the data that settings.py of a folder of configs names.

    Raises:
        DataError: as `prepare`, or another machine than machines.py has.
    """
    own = own_settings(folder)
    (machines,) = LazyConfig.load(str(folder / "machines.py"), ("machines",))
    check_settings(own.annotations, own.images, own.name, own.machine, machines)
    short_edge = machines[own.machine].short_edge
    return prepare(own.annotations, own.images, own.name, short_edge)


@command(_PROGRAM)
def main(argv: Sequence[str]) -> None:
    parser = new_parser(__doc__, _PROGRAM)
    parser.add_argument("folder", type=Path, help="of configs: configs/custom, or a copy of it")
    dataset = prepare_folder(parser.parse_args(argv).folder)
    for part, file in dataset.files.items():
        print(f"{part}: {dataset.images[part]:,} images, {file}")
    print(f"classes: {', '.join(dataset.class_names)}")


if __name__ == "__main__":
    sys.exit(main())
