"""A user's own data as configs/custom takes it: one folder, output/NAME/data, in one form."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import logging
import re
import shutil
import statistics
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from detnas_d2.data.check.duplicates import byte_groups
from detnas_d2.data.check.findings import WHOLE_SPLITS, Finding, Findings
from detnas_d2.data.check.images import check_images, read_files
from detnas_d2.data.check.mended import FRACTIONS, write_given, write_mended
from detnas_d2.data.check.sources import Sources
from detnas_d2.data.errors import DataError
from detnas_d2.files import write_atomically

logger = logging.getLogger(__name__)

PARTS = ("train", "val", "test")
_ALIASES = {"valid": "val", "validation": "val"}
_NAME = re.compile(r"\w[\w.-]*")
_ANNOTATIONS = ("*.json", "*/*.json", "Annotations/*.xml", "ImageSets/Main/*.txt")
_PLACES = 3  # shown of each finding
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


def own_dataset(annotations: str, images: str, name: str, output: str = "output") -> OwnDataset:
    """A user's data, brought into one form on the first call and only looked up later.

    One COCO JSON file, or a VOC folder without image sets, is dealt out into train, val and test by
    seed 0 (70, 15 and 15% of the images, each with its share of every class). Splits that are there
    are kept. What is unusable is left out and listed in left_out.json.

    Args:
        annotations: a COCO JSON file, a folder with one for each of train, val and test, or a VOC
            folder.
        images: what file names are relative to; "": looked for near the annotations.
        name: of the data set; OUTPUT/NAME/data is written.

    Raises:
        DataError: a line that is not set, a path that is not there, annotations or images that
            can't be used, or other annotations or images than those that OUTPUT/NAME was made of
            and something was trained on. With nothing trained, the data are made anew.
    """
    check_settings(annotations, images, name)
    folder = Path(output) / name / "data"
    record = folder.with_suffix(".json")
    made_of = {
        "source": _fingerprint(Path(annotations).expanduser()),
        "images": str(Path(images or annotations).expanduser().resolve()),  # "": looked for there
    }
    known = _known(folder, record, made_of)
    if known is not None:
        return known
    made = _make(Path(annotations).expanduser(), images, folder)
    text = json.dumps({**asdict(made), "made_of": made_of}, indent=1)
    write_atomically(record, text + "\n")
    return made


def _known(folder: Path, record: Path, made_of: dict[str, str]) -> OwnDataset | None:
    """What an earlier call made of the same; of something else: refused, or put out of the way."""
    if _difference(folder, record, made_of):
        with open(folder.parent / ".record.lock", "w") as lock:  # workers read settings at once
            fcntl.flock(lock, fcntl.LOCK_EX)
            difference = _difference(folder, record, made_of)
            if difference and _is_trained(folder.parent):
                raise DataError(
                    f"{folder} was made {difference}. Choose another name in settings.py, or "
                    f"remove {folder.parent} with all that was trained."
                )
            if difference:
                logger.warning("%s was made %s: it is made anew.", folder, difference)
                _discard(folder, record)
    if not (record.is_file() and folder.is_dir()):
        return None
    known = json.loads(record.read_text(encoding="utf-8"))
    known.pop("made_of")
    return OwnDataset(**known)


def _difference(folder: Path, record: Path, made_of: dict[str, str]) -> str:
    """Between what was made and what is asked for; "": none, or nothing was made."""
    if not (record.is_file() and folder.is_dir()):
        return ""
    before = json.loads(record.read_text(encoding="utf-8")).get("made_of", {})
    if before.get("source") != made_of["source"]:
        return "of other annotations than settings.py names now"
    if before["images"] != made_of["images"]:
        return f"with images = {before['images']!r}, and it is {made_of['images']!r} now"
    return ""


def _discard(folder: Path, record: Path) -> None:
    """In an order that a kill at any time leaves either all or nothing to be found."""
    old = folder.with_name(f".{folder.name}.partial-old")  # the next making removes it
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)
    record.unlink()
    for pattern in _UNTRAINED:
        for file in folder.parent.glob(pattern):
            file.unlink()
    shutil.rmtree(old, ignore_errors=True)


def _is_trained(output: Path) -> bool:
    others = (p for p in output.iterdir() if p.name not in ("data", "data.json"))
    return any(
        not path.name.startswith(".") and not any(path.match(pattern) for pattern in _UNTRAINED)
        for path in others
    )


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
    elif images and (Path(annotations).expanduser() / "Annotations").is_dir():
        inside = Path(annotations).expanduser() / "JPEGImages"
        if Path(images).expanduser().resolve() != inside.resolve():
            yield f'images is {images!r}; those of a VOC folder lie in {inside}: set images = "".'
    if not _NAME.fullmatch(name):
        yield (
            f"name is {name!r}; expected a name for your data, of letters, digits, '_', '-' and "
            "'.', for the folder output/<name>."
        )


def _make(annotations: Path, images: str, folder: Path) -> OwnDataset:
    findings = Findings()
    folders = [Path(images).expanduser()] if images else []
    form = "voc" if (annotations / "Annotations").is_dir() else None
    splits = Sources(findings, folders, form, keep_masks=False).read([annotations])
    # once for all: a file damaged in its pixels would end a training hours later
    files = read_files([i.path for s in splits for i in s.images if i.file_name], decode=True)
    for split in splits:
        check_images(split, files, findings)
    found = [f for f in findings.ordered() if f.code in WHOLE_SPLITS]
    if found:
        raise DataError(_describe(found, annotations))
    hashes = byte_groups(files)
    if len(splits) == 1:
        written = write_mended(splits, files, hashes, folder, 0, FRACTIONS)
    else:
        for split in splits:
            split.name = _ALIASES.get(split.name, split.name)
        names = [split.name for split in splits]
        if sorted(names) != sorted(PARTS):
            raise DataError(
                f"{annotations} has the splits {', '.join(names)}; expected train, val and test, "
                "or one split alone, which is then dealt out. New ones out of all images: "
                f"python -m detnas_d2.data.check {annotations} --split FOLDER; then annotations = "
                "FOLDER."
            )
        written = write_given(splits, files, hashes, folder)
    for title, places in written.left_out.items():
        more = f" (all: {written.left_out_file})" if len(places) > _PLACES else ""
        logger.warning(
            "Left out: %d %s: %s%s", len(places), title, "; ".join(places[:_PLACES]), more
        )
    return _described(written.files, written.image_folder, folder)


def _described(files: dict[str, Path], image_root: Path, folder: Path) -> OwnDataset:
    images, short_edges, class_names = {}, [], []
    for part in PARTS:
        content = json.loads(files[part].read_text(encoding="utf-8"))
        with_boxes = {a["image_id"] for a in content["annotations"] if not a["iscrowd"]}
        if not with_boxes:
            raise DataError(
                f"None of the {len(content['images'])} images of {part} has a usable box, so that "
                "there is nothing to train on or to score. Add annotated images, or deal all of "
                "them out anew: python -m detnas_d2.data.check PATH --split FOLDER."
            )
        images[part] = len(with_boxes) if part == "train" else len(content["images"])
        if part == "train":
            class_names = [c["name"] for c in sorted(content["categories"], key=lambda c: c["id"])]
            short_edges = [min(i["width"], i["height"]) for i in content["images"]]
    return OwnDataset(
        {part: str(folder / f"{part}.json") for part in PARTS},
        str(image_root),
        class_names,
        images,
        int(statistics.median(short_edges)),
    )


def _describe(found: Sequence[Finding], annotations: Path) -> str:
    lines = []
    for finding in found:
        places = [place for places in finding.places.values() for place in places]
        more = f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
        lines.append(f"  {finding.rule.title}: {'; '.join(places[:_PLACES])}{more}")
        lines.append(f"    {finding.rule.advice}")
    return (
        f"{annotations} can't be used:\n" + "\n".join(lines) + "\nCorrect annotations or images in "
        f"settings.py; all findings: python -m detnas_d2.data.check {annotations}"
    )


def _fingerprint(path: Path) -> str:
    """SHA-256 of what the annotation files hold, wherever they lie."""
    files = sorted(f for pattern in _ANNOTATIONS for f in path.glob(pattern))
    digest = hashlib.sha256()
    for file in files if path.is_dir() else [path]:
        status = file.stat()
        digest.update(_digest(file, status.st_mtime_ns, status.st_size))
    return digest.hexdigest()


@functools.cache  # a config asks several times
def _digest(file: Path, modified: int, size: int) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()
