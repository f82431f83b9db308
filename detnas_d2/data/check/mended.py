"""The parts that data are trained, validated and tested on: dealt out or as given, and written."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detnas_d2.data.atomic import write_folder_once
from detnas_d2.data.dataset import Box, Image, Split
from detnas_d2.data.errors import DataError
from detnas_d2.data.findings import Findings, Severity

from .stratify import PARTS, assign

LEFT_OUT = "left_out.json"
FRACTIONS = (0.7, 0.15, 0.15)  # of the images, for train, val and test


@dataclass(frozen=True)
class Parts:
    """What is to be written.

    Attributes:
        images: of each part, by file name relative to `root`.
        classes: their names, in the order of the new ids.
        made_by: what the contents are a function of, beside the data.
    """

    images: dict[str, list[Image]]
    classes: list[str]
    root: Path
    made_by: dict[str, Any]


def deal(
    splits: Sequence[Split],
    hashes: Mapping[Path, str],
    findings: Findings,
    seed: int = 0,
    fractions: Sequence[float] = FRACTIONS,
) -> Parts:
    """Deals out the images of all splits anew, every class in its share, copies of one together.

    Args:
        hashes: of the files whose bytes may be those of another.

    Raises:
        DataError: nothing usable, fractions that are none, or images that are too few for them.
    """
    root = _root(splits)
    images = _joined(splits, root, findings)
    if not any(image.objects for image in images):
        raise DataError("There is no usable box in these annotations; nothing was written.")
    groups: dict[str, list[Image]] = {}
    for image in images:
        groups.setdefault(hashes.get(image.path, image.file_name), []).append(image)
    labels = [
        {box.class_name for image in group for box in image.objects} for group in groups.values()
    ]
    sizes = [len(group) for group in groups.values()]
    parts: dict[str, list[Image]] = {part: [] for part in PARTS[: len(fractions)]}
    for group, part in zip(groups.values(), assign(labels, sizes, fractions, seed), strict=True):
        parts[PARTS[part]] += group
    dealt = {part: sorted(found, key=lambda i: i.file_name) for part, found in parts.items()}
    return Parts(dealt, _classes(splits), root, {"seed": seed, "fractions": list(fractions)})


def keep(splits: Mapping[str, Split], findings: Findings) -> Parts:
    """The splits as they are, under the names that they are given by."""
    root = _root(list(splits.values()))
    images = {part: _joined([split], root, findings) for part, split in splits.items()}
    return Parts(images, _classes(list(splits.values())), root, {})


def _root(splits: Sequence[Split]) -> Path:
    return Path(os.path.commonpath([split.image_folder.resolve() for split in splits]))


def _classes(splits: Sequence[Split]) -> list[str]:
    return list(dict.fromkeys(name for split in splits for name in split.classes.values()))


def _joined(splits: Sequence[Split], root: Path, findings: Findings) -> list[Image]:
    """One for each file, with the boxes of all entries of it, in the order of their names."""
    found: dict[str, Image] = {}
    for split in splits:
        for image in split.images:
            name = os.path.relpath(image.path.resolve(), root)
            if name not in found:
                found[name] = replace(image, file_name=name, boxes=[*image.boxes])
                continue
            there = {(box.class_name, *box.entry["bbox"]) for box in found[name].boxes}
            for box in image.boxes:
                if (box.class_name, *box.entry["bbox"]) in there:
                    place = f"{image.file_name}: {box.entry['bbox']}"
                    findings.add("box-twice", split.name, place)
                else:
                    found[name].boxes.append(box)
    return [found[name] for name in sorted(found)]


def left_out(findings: Findings) -> dict[str, list[str]]:
    """For each title of a finding, the places."""
    return {
        finding.rule.title: [f"{s}: {p}" for s, places in finding.places.items() for p in places]
        for finding in findings.of(Severity.LEFT_OUT)
    }


def write_parts(parts: Parts, out: Path, findings: Findings) -> Path:
    """Writes OUT/<part>.json in COCO's form, the same bytes each time, and OUT/left_out.json.

    Ids are numbered anew, classes are joined by name. The images stay where they are.

    Returns:
        the folder.

    Raises:
        DataError: OUT holds something else.
    """
    listing = json.dumps(left_out(findings), indent=1) + "\n"

    def contents() -> dict[str, Iterable[str]]:
        texts: dict[str, Iterable[str]] = {LEFT_OUT: [listing]}
        for part, images in parts.images.items():
            texts[f"{part}.json"] = _coco_text(images, parts.classes, parts.root)
        return texts

    def write(folder: Path) -> None:
        for name, texts in contents().items():
            with open(folder / name, "w", encoding="utf-8") as stream:
                stream.writelines(texts)

    digests = {name: _digest(texts) for name, texts in contents().items()}
    return write_folder_once(out, {**parts.made_by, "sha256": digests}, write)


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()


def _coco_text(images: Sequence[Image], classes: Sequence[str], root: Path) -> Iterator[str]:
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


def _image_entry(image: Image, number: int) -> dict[str, Any]:
    width, height = image.size or (0, 0)
    own = {"id": number, "file_name": image.file_name, "width": width, "height": height}
    return {**image.entry, **own}


def _box_entry(image: int, box: Box, number: int, classes: Mapping[str, int]) -> dict[str, Any]:
    own = {"id": number, "image_id": image, "category_id": classes[box.class_name]}
    return {**box.entry, **own}
