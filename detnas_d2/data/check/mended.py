"""New splits out of what is usable: who left out what, in COCO's form, the same bytes each time."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detnas_d2.data.atomic import write_folder_once
from detnas_d2.data.errors import DataError

from .dataset import Box, Image, Split
from .findings import RULES
from .images import ImageFile
from .masks import has_usable_mask
from .stratify import PARTS, assign

LEFT_OUT = "left_out.json"
FRACTIONS = (0.7, 0.15, 0.15)  # of the images, for train, val and test


@dataclass
class _Usable:
    """One image file with all its usable boxes, whichever entries they came from."""

    file_name: str
    size: tuple[int, int]
    entry: Mapping[str, Any]
    boxes: list[Box]
    group: str


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        files: the JSON file of each part.
        counts: images and boxes of each part.
        image_folder: what their file names are relative to.
        left_out: for each title of a finding, the places.
        left_out_file: the same as JSON.
    """

    files: dict[str, Path]
    counts: dict[str, tuple[int, int]]
    image_folder: Path
    left_out_file: Path
    left_out: dict[str, list[str]]


def write_mended(
    splits: Sequence[Split],
    files: Mapping[Path, ImageFile],
    hashes: Mapping[Path, str],
    out: Path,
    seed: int,
    fractions: Sequence[float],
) -> Written:
    """Deals out the usable images of all splits anew and writes OUT/{train,val,test}.json.

    Ids are numbered anew, classes are joined by name and without those that have no box, damaged
    boxes and images are left out and listed in OUT/left_out.json. The images stay where they are.

    Raises:
        DataError: nothing usable, fractions that are none, or OUT holds something else.
    """
    left_out: dict[str, list[str]] = {}
    root = Path(os.path.commonpath([split.image_folder.resolve() for split in splits]))
    images = _usable(splits, files, hashes, root, left_out)
    if not any(box.is_object for image in images for box in image.boxes):
        raise DataError(
            "There is no usable box in these annotations: mend the errors above first; nothing "
            "was written."
        )
    used = {box.class_name for image in images for box in image.boxes}
    classes = list(dict.fromkeys(name for split in splits for name in split.classes))
    for name in classes:
        if name not in used:
            left_out.setdefault(RULES["class-empty"].title, []).append(name)
    classes = [name for name in classes if name in used]
    parts = _deal(images, seed, fractions)
    return _write(out, parts, classes, root, left_out, seed=seed, fractions=list(fractions))


def write_given(
    splits: Sequence[Split],
    files: Mapping[Path, ImageFile],
    hashes: Mapping[Path, str],
    out: Path,
) -> Written:
    """The same with the splits as they are, in OUT/<name>.json, and with all of their classes.

    Raises:
        DataError: OUT holds something else.
    """
    left_out: dict[str, list[str]] = {}
    root = Path(os.path.commonpath([split.image_folder.resolve() for split in splits]))
    parts = {split.name: _usable([split], files, hashes, root, left_out) for split in splits}
    classes = list(dict.fromkeys(name for split in splits for name in split.classes))
    return _write(out, parts, classes, root, left_out)


def _write(
    out: Path,
    parts: Mapping[str, Sequence[_Usable]],
    classes: Sequence[str],
    root: Path,
    left_out: dict[str, list[str]],
    **made_by: Any,
) -> Written:
    listing = json.dumps(left_out, indent=1) + "\n"

    def contents() -> dict[str, Iterable[str]]:
        texts: dict[str, Iterable[str]] = {LEFT_OUT: [listing]}
        for part, found in parts.items():
            texts[f"{part}.json"] = _coco_text(found, classes, root)
        return texts

    def write(folder: Path) -> None:
        for name, texts in contents().items():
            with open(folder / name, "w", encoding="utf-8") as stream:
                stream.writelines(texts)

    digests = {name: _digest(texts) for name, texts in contents().items()}
    folder = write_folder_once(out, {**made_by, "sha256": digests}, write)
    return Written(
        {part: folder / f"{part}.json" for part in parts},
        {part: (len(found), sum(len(i.boxes) for i in found)) for part, found in parts.items()},
        root,
        folder / LEFT_OUT,
        left_out,
    )


def _usable(
    splits: Sequence[Split],
    files: Mapping[Path, ImageFile],
    hashes: Mapping[Path, str],
    root: Path,
    left_out: dict[str, list[str]],
) -> list[_Usable]:
    """One for each file, in the order of their names."""
    found: dict[str, _Usable] = {}
    for split in splits:
        for image in split.images:
            place = f"{split.name}: {image.file_name}"
            size = image.size or (files[image.path].size if image.file_name else None)
            damage = image.damage or (None if size else "image-entry")
            if damage is not None or size is None:
                left_out.setdefault(RULES[damage or "image-entry"].title, []).append(place)
                continue
            boxes = list(_usable_boxes(image, place, left_out))
            name = os.path.relpath(image.path.resolve(), root)
            if name not in found:
                group = hashes.get(image.path, name)
                found[name] = _Usable(name, size, image.entry, [], group)
            elif boxes:
                _join(found[name].boxes, boxes, place, left_out)
                continue
            found[name].boxes += boxes
    return [found[name] for name in sorted(found)]


def _usable_boxes(image: Image, place: str, left_out: dict[str, list[str]]) -> Iterator[Box]:
    for box in image.boxes:
        if box.damage is None:
            yield box
            continue
        shown = json.dumps(box.entry.get("bbox"))[:60]
        left_out.setdefault(RULES[box.damage].title, []).append(f"{place}: {shown}")


def _join(boxes: list[Box], more: list[Box], place: str, left_out: dict[str, list[str]]) -> None:
    """Adds the boxes of another entry of the same image, without those that are there."""
    there = {(box.class_name, *box.entry["bbox"]) for box in boxes}
    for box in more:
        if (box.class_name, *box.entry["bbox"]) in there:
            title = "boxes that another entry of their image has"
            left_out.setdefault(title, []).append(f"{place}: {json.dumps(box.entry['bbox'])}")
        else:
            boxes.append(box)


def _deal(
    images: Sequence[_Usable], seed: int, fractions: Sequence[float]
) -> dict[str, list[_Usable]]:
    groups: dict[str, list[_Usable]] = {}
    for image in images:
        groups.setdefault(image.group, []).append(image)
    labels = [
        {str(box.class_name) for image in group for box in image.boxes if not box.is_crowd}
        for group in groups.values()
    ]
    sizes = [len(group) for group in groups.values()]
    parts: dict[str, list[_Usable]] = {part: [] for part in PARTS[: len(fractions)]}
    for group, part in zip(groups.values(), assign(labels, sizes, fractions, seed), strict=True):
        parts[PARTS[part]] += group
    return {part: sorted(found, key=lambda i: i.file_name) for part, found in parts.items()}


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()


def _coco_text(images: Sequence[_Usable], classes: Sequence[str], root: Path) -> Iterator[str]:
    """A COCO JSON file, one entry a line; in pieces, for the whole would be large."""
    numbers = {name: i for i, name in enumerate(classes, 1)}
    info = json.dumps({"image_root": str(root)})  # for the check to find them again
    categories = ({"id": i, "name": name} for name, i in numbers.items())
    yield from _list(f'{{"info": {info},\n"categories": [', categories)
    yield from _list('],\n"images": [', map(_image_entry, images, itertools.count(1)))
    boxes = ((i, box) for i, image in enumerate(images, 1) for box in image.boxes)
    annotations = (_box_entry(*of, number, numbers) for number, of in enumerate(boxes, 1))
    yield from _list('],\n"annotations": [', annotations)
    yield "]}\n"


def _list(head: str, entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield head
    separator = "\n"
    for entry in entries:
        yield separator + json.dumps(entry)
        separator = ",\n"


def _image_entry(image: _Usable, number: int) -> dict[str, Any]:
    width, height = image.size
    own = {"id": number, "file_name": image.file_name, "width": width, "height": height}
    return {**image.entry, **own}


def _box_entry(image: int, box: Box, number: int, classes: Mapping[str, int]) -> dict[str, Any]:
    entry = dict(box.entry)
    if not has_usable_mask(entry):
        entry.pop("segmentation", None)
        entry.pop("keypoints", None)
    if not isinstance(entry.get("area"), (int, float)):
        entry["area"] = entry["bbox"][2] * entry["bbox"][3]
    own = {"id": number, "image_id": image, "category_id": classes[str(box.class_name)]}
    return {**entry, **own, "iscrowd": int(box.is_crowd)}
