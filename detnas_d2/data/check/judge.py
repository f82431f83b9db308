"""Reads data clean, and tells what only their user can decide."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detnas_d2.data.coco_reader import without_garbage_collection
from detnas_d2.data.dataset import Image, Split, drop_damaged_boxes
from detnas_d2.data.errors import DataError
from detnas_d2.data.findings import Findings, Severity
from detnas_d2.data.image_scan import ImageFile, read_files

from .duplicates import byte_groups, check_duplicates
from .mended import Parts, deal, keep
from .sources import Sources, part_of
from .stratify import PARTS

SHORT_EDGE = 240  # pixels, of the row "cpu" of configs/custom/machines.py
_LONG_EDGE = 5 / 3  # times that, at most
_FEW_PIXELS = 4.0  # side of a square box of that area, in the resized image
_MANY = 0.25  # share of the boxes from which on a kind of them is told
_FAR = 0.05  # share of an image's side by which a box reaches far out


@dataclass(frozen=True)
class Data:
    """What is usable of the data.

    Attributes:
        files: what each image file holds.
        hashes: of the files whose bytes may be those of another.
    """

    splits: list[Split]
    files: dict[Path, ImageFile]
    hashes: dict[Path, str]
    findings: Findings

    def own_parts(self) -> Parts | None:
        """What configs/custom trains on: one split dealt out, or train, val and test as given.

        Returns:
            None with splits of other names, or with an error among the findings.
        """
        if self.findings.of(Severity.ERROR):
            return None
        if len(self.splits) == 1:
            try:
                return deal(self.splits, self.hashes, self.findings)
            except DataError as error:
                self.findings.add("too-few", self.splits[0].name, str(error))
                return None
        named = {part_of(split.name): split for split in self.splits}
        if len(self.splits) != len(PARTS) or set(named) != set(PARTS):
            return None
        return keep({part: named[part] for part in PARTS}, self.findings)


def read_clean(
    paths: Sequence[Path],
    images: Sequence[Path] = (),
    form: str | None = None,
    *,
    decode: bool = True,
    short_edge: int = SHORT_EDGE,
) -> Data:
    """Reads all splits with what can't be used left out, and looks at what is left.

    Args:
        paths, images, form: as of `Sources`.
        decode: every image, as training does; else only the headers are read.
        short_edge: pixels of the images in training, where they are not smaller.

    Raises:
        DataError: as `Sources.read`.
    """
    findings = Findings()
    with without_garbage_collection():
        splits = Sources(findings, images, form).read(paths)
        files = read_files(splits, findings, decode=decode)
        for split in splits:
            drop_damaged_boxes(split, findings)
    counts = {s.name: Counter(b.class_name for b in s.boxes if not b.is_crowd) for s in splits}
    for split in splits:
        _check_boxes(split, findings, short_edge)
        _check_names(split, findings)
    _drop_empty_classes(splits, findings)
    _compare_classes(splits, counts, findings)
    hashes = byte_groups(files)
    check_duplicates(splits, files, hashes, findings)
    return Data(splits, files, hashes, findings)


def _check_boxes(split: Split, findings: Findings, short_edge: int) -> None:
    every = [(image, box.entry["bbox"]) for image in split.images for box in image.boxes]
    objects = [(image, box.entry["bbox"]) for image in split.images for box in image.objects]
    crowds = len(every) - len(objects)
    if not objects and not findings.has("image-folder", split.name):
        why = f"all {crowds} boxes are crowd regions (iscrowd 1)" if crowds else "none is left"
        findings.add("no-box", split.name, f"{split.file}, {len(split.images)} images: {why}")
    elif objects and crowds >= _MANY * len(every):
        findings.add("crowd-many", split.name, f"{crowds} of {len(every)} boxes")
    far = [(image, box) for image, box in every if _reaches_out(image, box)]
    corners = sum(_fits_as_corners(image, box) for image, box in every)
    if every and len(far) >= _MANY * len(every) and corners >= 0.95 * len(every):
        place = f"{len(far)} of {len(every)} boxes, e.g. {far[0][0].file_name}: {far[0][1]}"
        findings.add("box-corners", split.name, place)
    tiny = [(i, box) for i, box in objects if _resized_side(i, box, short_edge) < _FEW_PIXELS]
    if objects and len(tiny) >= _MANY * len(objects):
        image, box = tiny[0]
        side = _resized_side(image, box, short_edge)
        findings.add(
            "box-tiny",
            split.name,
            f"{len(tiny)} of {len(objects)} boxes are under {_FEW_PIXELS:g} pixels where the "
            f"shorter edge is {short_edge}, e.g. {image.file_name}: {box}, {side:.1f} pixels",
        )


def _reaches_out(image: Image, box: list[float]) -> bool:
    width, height = image.size or (math.inf, math.inf)
    return box[0] + box[2] > (1 + _FAR) * width or box[1] + box[3] > (1 + _FAR) * height


def _fits_as_corners(image: Image, box: list[float]) -> bool:
    width, height = image.size or (math.inf, math.inf)
    return box[0] < box[2] <= width + 1 and box[1] < box[3] <= height + 1


def _resized_side(image: Image, box: list[float], short_edge: int) -> float:
    size = image.size or (1, 1)
    scale = min(1.0, short_edge / min(size), short_edge * _LONG_EDGE / max(size))
    return scale * math.sqrt(box[2] * box[3])


def _check_names(split: Split, findings: Findings) -> None:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in split.classes.values():
        alike[name.lower()].append(name)
    for names in alike.values():
        if len(names) > 1:
            findings.add("class-names", split.name, ", ".join(map(repr, names)))


def _drop_empty_classes(splits: Sequence[Split], findings: Findings) -> None:
    """Those without a box in any split, as the parent class of Roboflow's exports."""
    used = {box.class_name for split in splits for box in split.boxes}
    for split in splits if used else ():
        for key, name in [*split.classes.items()]:
            if name not in used:
                findings.add("class-empty", split.name, name)
                del split.classes[key]


def _compare_classes(
    splits: Sequence[Split], counts: dict[str, Counter[str]], findings: Findings
) -> None:
    total = sum(counts.values(), Counter[str]())
    for split in splits:
        names, first = list(split.classes.values()), list(splits[0].classes.values())
        if split.form == "COCO" and names != first:
            more, less = sorted(set(names) - set(first)), sorted(set(first) - set(names))
            place = f"{split.file.name} has {', '.join(names[:9])}"
            place += f"; {', '.join(more)} beside" if more else ""
            place += f"; it lacks {', '.join(less)}" if less else ""
            findings.add("classes-differ", split.name, place)
        for name in sorted(total) if "train" in split.name.lower() else ():
            if not counts[split.name][name]:
                findings.add("class-untrained", split.name, name)
