"""Reads data clean, and tells what only their user can decide."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from detnas_d2.data.coco_reader import without_garbage_collection
from detnas_d2.data.dataset import Box, Image, Split, drop_damaged_boxes
from detnas_d2.data.errors import DataError
from detnas_d2.data.findings import Findings, Severity
from detnas_d2.data.image_files import read_files

from .duplicates import check_duplicates, find_copies
from .parts import Parts, deal, keep
from .sources import part_of, read_sources
from .stratify import PARTS

SHORT_EDGE = 240  # pixels, of the row "cpu" of configs/custom/machines.py
_LONG_EDGE = 5 / 3  # times that, at most
_FEW_PIXELS = 4.0  # side of a square box of that area, in the resized image
_MANY = 0.25  # share of the boxes from which on a kind of them is told
_FAR = 0.05  # share of an image's side by which a box reaches far out


def read_clean(
    paths: Sequence[Path],
    images: Sequence[Path] = (),
    *,
    decode: bool = True,
    short_edge: int = SHORT_EDGE,
) -> tuple[list[Split], Findings]:
    """Reads all splits with what can't be used left out, and looks at what is left.

    Args:
        paths, images: as of `read_sources`.
        decode: every image, as training does; else only the headers are read.
        short_edge: pixels of the images in training, where they are not smaller.

    Raises:
        DataError: as `read_sources`.
    """
    findings = Findings()
    with without_garbage_collection():
        splits = read_sources(paths, images, findings)
        read_files(splits, findings, decode=decode)
        for split in splits:
            drop_damaged_boxes(split, findings)
            _check_boxes(split, findings, short_edge)
    _check_classes(splits, findings)
    find_copies(splits)
    check_duplicates(splits, findings)
    return splits, findings


def _check_boxes(split: Split, findings: Findings, short_edge: int) -> None:
    every = [(image, box) for image in split.images for box in image.boxes]
    objects = [(image, box) for image, box in every if not box.is_crowd]
    crowds = len(every) - len(objects)
    if any(split.name in error.places for error in findings.of(Severity.ERROR)):
        return
    if not objects:
        why = f"all {crowds} boxes are crowd regions (iscrowd 1)" if crowds else "none is left"
        findings.add("no-box", split.name, f"{split.file}, {len(split.images)} images: {why}")
        return
    if crowds >= _MANY * len(every):
        findings.add("crowd-many", split.name, f"{crowds} of {len(every)} boxes")
    far = [(image, box) for image, box in every if _reaches_out(image, box)]
    corners = sum(_fits_as_corners(image, box) for image, box in every)
    if len(far) >= _MANY * len(every) and corners >= 0.95 * len(every):
        findings.add("box-corners", split.name, _some(far, len(every)))
    tiny = [(i, box) for i, box in objects if _resized_side(i, box, short_edge) < _FEW_PIXELS]
    if len(tiny) >= _MANY * len(objects):
        place = f"{_some(tiny, len(objects))}, {_resized_side(*tiny[0], short_edge):.1f} pixels"
        place += f"; under {_FEW_PIXELS:g} where the shorter edge is {short_edge}"
        findings.add("box-tiny", split.name, place)


def _some(found: list[tuple[Image, Box]], count: int) -> str:
    image, box = found[0]
    return f"{len(found)} of {count} boxes, e.g. {image.file_name}: {box.entry['bbox']}"


def _reaches_out(image: Image, box: Box) -> bool:
    x, y, width, height = box.entry["bbox"]
    return x + width > (1 + _FAR) * image.size[0] or y + height > (1 + _FAR) * image.size[1]


def _fits_as_corners(image: Image, box: Box) -> bool:
    x0, y0, x1, y1 = box.entry["bbox"]
    return x0 < x1 <= image.size[0] + 1 and y0 < y1 <= image.size[1] + 1


def _resized_side(image: Image, box: Box, short_edge: int) -> float:
    shorter, longer = sorted(image.size)
    scale = min(1.0, short_edge / shorter, short_edge * _LONG_EDGE / longer)
    return scale * math.sqrt(box.entry["bbox"][2] * box.entry["bbox"][3])


def _check_classes(splits: Sequence[Split], findings: Findings) -> None:
    """Leaves out those without a box in any split, as the parent class of Roboflow's exports."""
    used = {box.class_name for split in splits for box in split.boxes}
    learned = {box.class_name for split in splits for box in split.boxes if not box.is_crowd}
    for split in splits:
        alike: dict[str, list[str]] = defaultdict(list)
        for key, name in [*split.classes.items()]:
            alike[name.lower()].append(name)
            if used and name not in used:
                findings.add("skipped", split.name, f"class {name!r}: no box")
                del split.classes[key]
        for names in alike.values():
            if len(names) > 1:
                findings.add("class-names", split.name, ", ".join(map(repr, names)))
        if split.form == "COCO" and [*split.classes.values()] != [*splits[0].classes.values()]:
            these, first = (", ".join([*s.classes.values()][:9]) for s in (split, splits[0]))
            place = f"{split.file.name} has {these}; {splits[0].file.name} has {first}"
            findings.add("classes-differ", split.name, place)
        if part_of(split.name) == PARTS[0]:
            own = {box.class_name for box in split.boxes if not box.is_crowd}
            for name in sorted(learned - own):
                findings.add("class-untrained", split.name, name)


def own_parts(splits: Sequence[Split], findings: Findings) -> Parts | None:
    """What configs/custom trains on: one split dealt out, or train, val and test as given.

    Returns:
        None with splits of other names, or with an error among the findings.
    """
    if findings.of(Severity.ERROR):
        return None
    if len(splits) == 1:
        try:
            return deal(splits, findings)
        except DataError as error:
            findings.add("too-few", splits[0].name, str(error))
            return None
    named = {part_of(split.name): [split] for split in splits}
    if len(splits) != len(PARTS) or set(named) != set(PARTS):
        return None
    return keep({part: named[part] for part in PARTS}, findings)
