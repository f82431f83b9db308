"""What the given paths are: COCO JSON files and VOC folders, and where their images lie."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from detnas_d2.data.atomic import MARKER
from detnas_d2.data.coco_reader import load_json, read_coco
from detnas_d2.data.dataset import Split
from detnas_d2.data.errors import DataError
from detnas_d2.data.findings import Findings, Severity
from detnas_d2.data.image_files import find_file, forget_folders, listed
from detnas_d2.data.voc_reader import IMAGE_FOLDERS, image_sets, read_voc, voc_parts
from detnas_d2.rules import did_you_mean

from .parts import LEFT_OUT
from .stratify import PARTS

_SAMPLE = 20  # names that a guess of the image folder is tried with
_FOLDERS = 200  # subfolders that are tried
_PART = re.compile(r"(?<![a-z])(train|val|test)(ing|val|id|idation)?(?![a-z])", re.IGNORECASE)


def part_of(name: str) -> str | None:
    """train, val or test, out of a split's name (Train, valid, val2017); None of others."""
    found = {words[0].lower() for words in _PART.findall(name)}
    return found.pop() if len(found) == 1 else None


def read_sources(paths: Sequence[Path], images: Sequence[Path], findings: Findings) -> list[Split]:
    """Reads the splits that paths name: training first, then validation, then test, then others.

    Args:
        paths: COCO JSON files, VOC folders, or folders with several of these.
        images: folders of the images of COCO files: none (they are looked for), one for all, or
            one for each path.

    Raises:
        DataError: a path that is not there, a folder without annotations or with both forms, or a
            number of image folders that does not fit.
    """
    forget_folders()
    for given in images:
        if not given.is_dir():
            raise DataError(f"--images {given}: there is no such folder.{_nearest(given)}")
    if len(images) not in (0, 1, len(paths)):
        raise DataError(
            f"--images has {len(images)} folders for {len(paths)} paths; give one for "
            "all, or one for each in the same order."
        )
    splits: list[Split] = []
    for i, path in enumerate(paths):
        folder = images[i if len(images) > 1 else 0] if images else None
        if path.is_dir():
            splits += _read_folder(path, folder, findings)
        elif path.exists():
            splits += _read_file(path, folder, findings)
        else:
            raise DataError(f"{path} is not there.{_nearest(path)}")
    if not splits and not findings.of(Severity.ERROR):
        raise DataError(
            f"There is no data set in {' '.join(map(str, paths))}: no JSON file there is in "
            "COCO's form, an object with the lists 'images', 'annotations' and 'categories'."
        )
    splits.sort(key=lambda split: [*PARTS, None].index(part_of(split.name)))
    names = [split.name for split in splits]
    for i, split in enumerate(splits):
        if names.count(split.name) > 1:
            split.name = f"{split.name} ({i + 1})"
    return splits


def _read_folder(folder: Path, images: Path | None, findings: Findings) -> Iterator[Split]:
    files, voc = sorted(_json_files(folder)), _voc_folders(folder)
    if voc and files:
        raise DataError(
            f"{folder} has COCO JSON files ({files[0].relative_to(folder)}, ...) and VOC's XML "
            f"files: give {files[0].parent} or {next(iter(voc.values()))[0]}."
        )
    if not files and not voc:
        raise DataError(
            f"{folder} has no annotations: expected COCO JSON files (in it, in annotations/ "
            "or in a folder for each split), or VOC's Annotations/ and JPEGImages/."
        )
    for base, (xml, beside) in voc.items():
        yield from _read_voc_folder(base, xml, images or beside, findings)
    # as COCO's own folder, where captions and keypoints lie beside the boxes
    boxes = [file for file in files if file.name.startswith("instances_")]
    for file in files:
        if boxes and file not in boxes:
            findings.add("skipped", folder.name, f"{file} (not instances_*.json)")
        else:
            yield from _read_file(file, images, findings, asked=False)


def _voc_folders(path: Path) -> dict[Path, tuple[Path, Path]]:
    """Those at and below a path, or the one that it is the Annotations of, with their parts."""
    above = path.resolve().parent
    is_part = path.resolve() in (voc_parts(above) or ())
    folders = [above] if is_part else [path, *_subfolders(path)]
    return {folder: parts for folder in folders if (parts := voc_parts(folder))}


def _read_voc_folder(
    folder: Path, annotations: Path, images: Path, findings: Findings
) -> Iterator[Split]:
    for name, ids in image_sets(folder, annotations, findings).items():
        file = folder / "ImageSets" / "Main" / f"{name}.txt"
        split = Split(name, "VOC", file if file.exists() else annotations, images, "VOC's form")
        read_voc(split, annotations, ids, findings)
        if ids and not split.images:
            place = f"none of {len(ids)} images, e.g. {ids[0]}, is in {images}"
            findings.add("image-folder", name, place)
        yield split


def _read_file(
    file: Path, images: Path | None, findings: Findings, *, asked: bool = True
) -> Iterator[Split]:
    content = load_json(file, findings)
    if content is None:
        return
    is_coco = isinstance(content, dict) and isinstance(content.get("images"), list)
    if not asked and not is_coco:
        findings.add("skipped", file.parent.name, f"{file} (no COCO data set)")
        return
    folder, how = (images, "given") if images is not None else _guess_folder(file, content)
    split = Split(_split_name(file), "COCO", file, folder, how)
    if read_coco(split, content, findings):
        yield split


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f" Nor is the folder {path.parent}."
    return did_you_mean(str(path), map(str, path.parent.iterdir()))


def _subfolders(folder: Path) -> list[Path]:
    found = (f for f in listed(folder) if f.is_dir() and f.name != "__MACOSX")
    return sorted(f for f, _ in zip(found, range(_FOLDERS), strict=False))


def _json_files(folder: Path) -> Iterator[Path]:
    for place in (folder, *_subfolders(folder)):
        for file in listed(place, ".json"):
            if file.name not in (MARKER, LEFT_OUT):
                yield file


def _split_name(file: Path) -> str:
    """train of instances_train.json, and of train/_annotations.coco.json."""
    name = file.name.partition(".")[0].strip("_")
    for prefix in ("instances_", "annotations_"):
        name = name.removeprefix(prefix)
    generic = name.lower() in ("annotations", "annotation", "instances", "coco", "labels", "result")
    return file.resolve().parent.name if generic else name


def _guess_folder(file: Path, content: Any) -> tuple[Path, str]:
    """The folder that --split noted, else the one near the file that holds most of a sample of
    the images, and how it was found."""
    content = content if isinstance(content, dict) else {}
    info, entries = content.get("info"), content.get("images")
    noted = info.get("image_root") if isinstance(info, dict) else None
    if isinstance(noted, str) and noted and Path(noted).is_dir():
        return Path(noted), "named in the file's info; --images names another"
    entries = entries if isinstance(entries, list) else []
    found = (entry.get("file_name") for entry in entries if isinstance(entry, dict))
    names = [name for name in found if isinstance(name, str)]
    names = names[:: max(1, len(names) // _SAMPLE)][:_SAMPLE]
    best, most = file.parent, 0
    for folder in _candidates(file):
        there = sum(find_file(folder, name) is not None for name in names)
        if there > most:
            best, most = folder, there
    if not most:
        return best, "no image was found near the JSON file; --images names their folder"
    return best, f"guessed: it has {most} of {len(names)} names tried; --images names another"


def _candidates(file: Path) -> Iterator[Path]:
    """Folders near the file, the likely ones first."""
    split, here = _split_name(file), file.parent
    for base in (here, here / ".." if here == Path(".") else here.parent):
        below = _subfolders(base)
        usual = [folder for folder in below if folder.name.lower() in IMAGE_FOLDERS]
        for folder in (*usual, base, *below):
            yield folder / split
            yield folder
        for folder in usual:
            yield from _subfolders(folder)


def sources_of(path: Path) -> list[Path]:
    """The annotation files below a path, in their order."""
    if not path.is_dir():
        return [path]
    found = set(_json_files(path))
    for folder, (xml, _) in _voc_folders(path).items():
        found.update(listed(xml, ".xml"), listed(folder / "ImageSets" / "Main", ".txt"))
    return sorted(found)
