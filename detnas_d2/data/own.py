"""Step 0 of configs/custom: a user's own data, brought into one form in output/NAME/data.

    python -m detnas_d2.data.own configs/custom

Reads settings.py of that folder of configs. What can't be used is left out and listed; train.json,
val.json and test.json are written once, and anew where the annotations have changed and nothing
was trained on them.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detnas_d2.commands import command, new_parser
from detnas_d2.data.atomic import locked
from detnas_d2.data.check.judge import SHORT_EDGE, own_parts, read_clean
from detnas_d2.data.check.parts import write_parts
from detnas_d2.data.check.sources import sources_of
from detnas_d2.data.errors import DataError
from detnas_d2.data.findings import Severity
from detnas_d2.data.own_settings import own_settings
from detnas_d2.files import parse_json, write_json

logger = logging.getLogger(__name__)

_PROGRAM = "python -m detnas_d2.data.own"
_STEP_0 = f"Run step 0 first: {_PROGRAM} configs/custom, or the folder of these configs."
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
    dataset, made_of = _read_record(name)
    if made_of | _places(annotations, images) != made_of:
        raise DataError(f"{_record(name)} is of other data than settings.py names now. {_STEP_0}")
    return dataset


def _read_record(name: str) -> tuple[OwnDataset, dict[str, str]]:
    """What was made, and of what."""
    record = _record(name)
    try:
        known = parse_json(record.read_bytes())
        made_of = dict(known.pop("made_of"))
        return OwnDataset(**known), made_of
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{record} can't be read ({error}). {_STEP_0}") from error


def prepare(annotations: str, images: str, name: str, short_edge: int = SHORT_EDGE) -> OwnDataset:
    """Bring a user's data into one form, unless that is done.

    Args:
        annotations: a COCO JSON file or a VOC folder without image sets, dealt out by seed 0 (70,
            15 and 15% of the images); or a folder with splits of its own, which are kept.
        images: what file names are relative to; "": looked for near the annotations.
        name: of the data set; output/NAME/data is written.
        short_edge: of the machine's row, in pixels.

    Raises:
        DataError: annotations or images that can't be used, or others than those that output/NAME
            was made of and something was trained on. With nothing trained, the data are made anew.
    """
    record, source = _record(name), Path(annotations).expanduser()
    folder, places = record.with_suffix(""), _places(annotations, images)
    made_of = {"source": _fingerprint(source), **places}
    with locked(record.with_name(".own.lock")):
        try:
            dataset, former = _read_record(name)
        except DataError:  # none, or damaged
            dataset, former = None, {}
        # the same annotations may lie elsewhere now
        if {**former, "annotations": places["annotations"]} != made_of:
            _forget(record, former)
            dataset = None
        if dataset is None or not folder.is_dir():
            dataset = _make(source, images, short_edge, folder)
        made = {**asdict(dataset), "made_of": made_of}
        write_json(record, made, indent=1)
    return dataset


def _record(name: str) -> Path:
    return Path("output", name, "data.json")


def _places(annotations: str, images: str) -> dict[str, str]:
    paths = {"annotations": annotations, "images": images or annotations}  # "": looked for there
    return {key: str(Path(path).expanduser().resolve()) for key, path in paths.items()}


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
    what = f"{record} is missing or damaged, so what {folder} was made of is not known"
    if made_of:
        of, images = (made_of.get(key, f"other {key}") for key in ("annotations", "images"))
        what = f"{folder} was made of {of}, images in {images}: the annotations have changed, or "
        what += "settings.py names others now"
    if {*output.glob("[!.]*")} - {folder, *untrained}:
        raise DataError(
            f"{what}. Choose another name in settings.py, or remove {output} with all that was "
            "trained."
        )
    if made_of:
        logger.warning("%s. They are made anew.", what)
    for file in untrained:  # the record first: a folder without one is made anew
        file.unlink(missing_ok=True)


def _make(source: Path, images: str, short_edge: int, folder: Path) -> OwnDataset:
    """Writes the folder."""
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
    return OwnDataset(
        files={part: str(folder / f"{part}.json") for part in parts.images},
        image_root=str(parts.root),
        class_names=parts.classes,
        images={**counts, "train": sum(bool(image.objects) for image in train)},
        short_edge=int(statistics.median(min(image.size) for image in train)),
    )


def prepare_folder(folder: Path) -> tuple[OwnDataset, Any]:
    """Prepare the data that settings.py of a folder of configs names.

    Returns:
        what the configs need to know, and the row of the machine.

    Raises:
        DataError: as `own_settings` and `prepare`.
    """
    own, row = own_settings(folder)
    return prepare(own.annotations, own.images, own.name, row.short_edge), row


@command(_PROGRAM)
def main(argv: Sequence[str]) -> None:
    parser = new_parser(__doc__, _PROGRAM)
    parser.add_argument("folder", type=Path, help="of configs: configs/custom, or a copy of it")
    dataset, _ = prepare_folder(parser.parse_args(argv).folder)
    for part, file in dataset.files.items():
        print(f"{part}: {dataset.images[part]:,} images, {file}")
    print(f"classes: {', '.join(dataset.class_names)}")


if __name__ == "__main__":
    sys.exit(main())
