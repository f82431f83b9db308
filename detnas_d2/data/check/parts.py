"""The parts that data are trained, validated and tested on: dealt out or as given, and written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detnas_d2.data.atomic import write_folder_once
from detnas_d2.data.dataset import Image, Split
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
    findings: Findings,
    seed: int = 0,
    fractions: Sequence[float] = FRACTIONS,
) -> Parts:
    """Deals out the images of all splits anew, every class in its share, copies of one together.

    Raises:
        DataError: fractions that are none, or images with boxes that are too few for them.
    """
    whole = keep({"": splits}, findings)
    groups: dict[str, list[Image]] = {}
    for image in whole.images[""]:
        groups.setdefault(image.digest or image.file_name, []).append(image)
    labels = [{box.class_name for i in group for box in i.objects} for group in groups.values()]
    sizes = [len(group) for group in groups.values()]
    parts: dict[str, list[Image]] = {part: [] for part in PARTS[: len(fractions)]}
    for group, part in zip(groups.values(), assign(labels, sizes, fractions, seed), strict=True):
        parts[PARTS[part]] += group
    dealt = {part: sorted(found, key=lambda i: i.file_name) for part, found in parts.items()}
    if without := [part for part, found in dealt.items() if not any(i.objects for i in found)]:
        raise DataError(
            f"{sum(sizes)} images are too few for shares of {' '.join(map(str, fractions))}: "
            f"{' and '.join(without)} would have no usable box ({sum(map(bool, labels))} have one, "
            "copies counted once). Add images with boxes."
        )
    return replace(whole, images=dealt, made_by={"seed": seed, "fractions": list(fractions)})


def keep(splits: Mapping[str, Sequence[Split]], findings: Findings) -> Parts:
    """The images of splits as they are, under the names that these are given by."""
    every = [split for joined in splits.values() for split in joined]
    root = Path(os.path.commonpath([split.image_folder.resolve() for split in every]))
    classes = list(dict.fromkeys(name for split in every for name in split.classes.values()))
    images = {part: _joined(joined, root, findings) for part, joined in splits.items()}
    return Parts(images, classes, root, {})


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
                    findings.add("box", split.name, f"{place} is there twice")
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
    texts = {LEFT_OUT: json.dumps(left_out(findings), indent=1) + "\n"}
    for part, images in parts.images.items():
        texts[f"{part}.json"] = _coco_text(images, parts.classes, parts.root)

    def write(folder: Path) -> None:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")

    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    return write_folder_once(out, {**parts.made_by, "sha256": digests}, write)


def _coco_text(images: Sequence[Image], classes: Sequence[str], root: Path) -> str:
    """A COCO JSON file; its info has the images' folder, for the check to find them again."""
    numbers = {name: i for i, name in enumerate(classes, 1)}
    entries: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for image_id, image in enumerate(images, 1):
        width, height = image.size
        own = {"id": image_id, "file_name": image.file_name, "width": width, "height": height}
        entries.append({**image.entry, **own})
        for box in image.boxes:
            ids = {"image_id": image_id, "category_id": numbers[box.class_name]}
            boxes.append({**box.entry, "id": len(boxes) + 1, **ids})
    categories = [{"id": i, "name": name} for name, i in numbers.items()]
    content = {
        "info": {"image_root": str(root)},
        "categories": categories,
        "images": entries,
        "annotations": boxes,
    }
    return json.dumps(content) + "\n"
