"""What the given paths are: COCO JSON files and VOC folders, and where their images lie."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detnas_d2.data.atomic import MARKER
from detnas_d2.data.coco_reader import is_coco, load_json, read_coco
from detnas_d2.data.dataset import Split
from detnas_d2.data.errors import DataError
from detnas_d2.data.findings import Findings, Severity
from detnas_d2.data.image_files import find_file, forget_folders, listed
from detnas_d2.data.voc_reader import IMAGE_FOLDERS, image_sets, read_voc, voc_parts

from .mended import LEFT_OUT
from .stratify import PARTS

_SAMPLE = 20  # names that a guess of the image folder is tried with
_FOLDERS = 200  # subfolders that are tried
_PART = re.compile(r"(train|val|test)(ing|id|idation)?[-_]?\d*", re.IGNORECASE)


def part_of(name: str) -> str | None:
    """train, val or test, out of a split's name (Train, valid, val2017); None of others."""
    found = _PART.fullmatch(name)
    return found[1].lower() if found else None


@dataclass(frozen=True)
class Sources:
    """Reads the splits that paths name.

    Args:
        images: folders of the images of COCO files: none (they are looked for), one for all, or
            one for each path.
        form: "coco" or "voc", where a folder has both.
    """

    findings: Findings
    images: Sequence[Path] = ()
    form: str | None = None

    def read(self, paths: Sequence[Path]) -> list[Split]:
        """
        Args:
            paths: COCO JSON files, VOC folders, or folders with several of these.

        Raises:
            DataError: a path that is not there, a folder without annotations or with both forms,
                or a number of image folders that does not fit.
        """
        forget_folders()
        for given in self.images:
            if not given.is_dir():
                raise DataError(f"--images {given}: there is no such folder.{_nearest(given)}")
        if len(self.images) not in (0, 1, len(paths)):
            raise DataError(
                f"--images has {len(self.images)} folders for {len(paths)} paths; give one for "
                "all, or one for each in the same order."
            )
        splits: list[Split] = []
        for i, path in enumerate(paths):
            folder = self.images[i if len(self.images) > 1 else 0] if self.images else None
            if path.is_dir():
                splits += self._read_folder(path, folder)
            elif path.exists():
                splits += self._read_file(path, folder, asked=True)
            else:
                raise DataError(f"{path} is not there.{_nearest(path)}")
        if not splits and not self.findings.of(Severity.ERROR):
            raise DataError(
                f"There is no data set in {' '.join(map(str, paths))}: no JSON file there is in "
                "COCO's form, an object with the lists 'images', 'annotations' and 'categories'."
            )
        splits.sort(key=_rank)
        _make_unique(splits)
        return splits

    def _read_folder(self, folder: Path, images: Path | None) -> list[Split]:
        above = voc_parts(folder.resolve().parent)
        if above is not None and folder.resolve() in above:
            raise DataError(
                f"{folder} is a part of a folder in VOC's form: give the folder above, "
                f"{folder.resolve().parent}."
            )
        voc = [f for f in (folder, *_subfolders(folder)) if voc_parts(f)]
        files = sorted(_json_files(folder))
        if voc and files and self.form is None:
            raise DataError(
                f"{folder} has COCO JSON files ({files[0].relative_to(folder)}, ...) and VOC's "
                f"Annotations: choose with --form coco or --form voc, or give {files[0].parent}."
            )
        if self.form == "voc" or (voc and self.form is None):
            if not voc:
                raise DataError(f"{folder} has no folder Annotations (--form voc).")
            return [split for f in voc for split in self._read_voc_folder(f, images)]
        if not files:
            raise DataError(
                f"{folder} has no annotations: expected COCO JSON files (in it, in annotations/ "
                "or in a folder for each split), or VOC's Annotations/ and JPEGImages/."
            )
        # as COCO's own folder, where captions and keypoints lie beside the boxes
        boxes = [file for file in files if file.name.startswith("instances_")]
        for file in files if boxes else ():
            if file not in boxes:
                place = f"{file.name} (not instances_*.json)"
                self.findings.add("skipped", folder.name, place)
        return [
            split for file in boxes or files for split in self._read_file(file, images, asked=False)
        ]

    def _read_voc_folder(self, folder: Path, images: Path | None) -> list[Split]:
        annotations, beside = voc_parts(folder) or (folder, folder)
        splits = []
        for name, ids in image_sets(folder, annotations, self.findings).items():
            file = folder / "ImageSets" / "Main" / f"{name}.txt"
            file = file if file.exists() else annotations
            how = "VOC's form" if images is None else "given"
            splits.append(Split(name, "VOC", file, images or beside, how))
            read_voc(splits[-1], annotations, ids, self.findings)
            if ids and not splits[-1].images:
                place = f"none of {len(ids)} images, e.g. {ids[0]}, is in {images or beside}"
                self.findings.add("image-folder", name, place)
        return splits

    def _read_file(self, file: Path, images: Path | None, *, asked: bool) -> list[Split]:
        content = load_json(file, self.findings)
        if content is None:
            return []
        if not asked and not is_coco(content):
            self.findings.add("skipped", file.parent.name, f"{file} (no COCO data set)")
            return []
        folder, how = (images, "given") if images is not None else _guess_folder(file, content)
        split = Split(_split_name(file), "COCO", file, folder, how)
        return [split] if read_coco(split, content, self.findings) else []


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f" Nor is the folder {path.parent}."
    there = [other.name for other in path.parent.iterdir()]
    close = difflib.get_close_matches(path.name, there, n=1)
    return f" Did you mean {path.parent / close[0]}?" if close else ""


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
    info = content.get("info") if isinstance(content, dict) else None
    noted = info.get("image_root") if isinstance(info, dict) else None
    if isinstance(noted, str) and noted and Path(noted).is_dir():
        return Path(noted), "named in the file's info; --images names another"
    entries = content.get("images") if isinstance(content, dict) else None
    entries = entries if isinstance(entries, list) else []
    names = [e["file_name"] for e in entries if isinstance(e, dict) and _is_name(e)]
    names = names[:: max(1, len(names) // _SAMPLE)][:_SAMPLE]
    best, most = file.parent, 0
    for folder in _candidates(file):
        found = sum(find_file(folder, name) is not None for name in names)
        if found > most:
            best, most = folder, found
    if not most:
        return best, "no image was found near the JSON file; --images names their folder"
    return best, f"guessed: it has {most} of {len(names)} names tried; --images names another"


def _is_name(entry: dict[str, Any]) -> bool:
    return isinstance(entry.get("file_name"), str)


def _candidates(file: Path) -> Iterator[Path]:
    """Folders near the file, the likely ones first."""
    split = _split_name(file)
    here = file.parent
    above = here / ".." if here == Path(".") else here.parent
    for base in (here, above):
        usual = [f for f in _subfolders(base) if f.name.lower() in IMAGE_FOLDERS]
        for folder in usual:
            yield folder / split
            yield folder
        yield base / split
        yield base
    for base in (here, above):
        for folder in _subfolders(base):
            yield folder
            yield from _subfolders(folder) if folder.name.lower() in IMAGE_FOLDERS else ()


def _rank(split: Split) -> int:
    """Training first, then validation, then test, then what is called otherwise."""
    return next((i for i, part in enumerate(PARTS) if part in split.name.lower()), len(PARTS))


def _make_unique(splits: list[Split]) -> None:
    names = [split.name for split in splits]
    for i, split in enumerate(splits):
        if names.count(split.name) > 1:
            split.name = f"{split.name} ({i + 1})"


def sources_of(path: Path) -> list[Path]:
    """The annotation files below a path, in their order."""
    if not path.is_dir():
        return [path]
    found = set(_json_files(path))
    for folder in (path, *_subfolders(path)):
        if parts := voc_parts(folder):
            found.update(listed(parts[0], ".xml"), listed(folder / "ImageSets" / "Main", ".txt"))
    return sorted(found)
