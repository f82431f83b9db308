"""Reads the image sets of a folder in Pascal VOC's form file by file."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from detnas_d2.data.errors import DataError
from detnas_d2.data.voc import image_file

from .dataset import Box, Image, Split, check_box
from .findings import Findings

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def image_sets(folder: Path, findings: Findings) -> dict[str, list[str]]:
    """Image ids by image set; without ImageSets/Main, of all annotation files as one set.

    Sets with a second column (VOC's lists of one class) and sets that only join others (trainval)
    are passed over.
    """
    lists = sorted((folder / "ImageSets" / "Main").glob("*.txt"))
    sets: dict[str, list[str]] = {}
    for file in lists:
        try:
            lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError) as error:
            findings.add("file", file.stem, f"{file}: {error}")
            continue
        if any(len(columns) > 1 for columns in lines):
            findings.add("skipped", folder.name, f"{file.name} (more than one column)")
            continue
        sets[file.stem] = [columns[0] for columns in lines if columns]
        if sets[file.stem] and [] in lines:
            number = lines.index([]) + 1
            findings.add("image-set", file.stem, f"{file}, line {number}: a blank line")
        for image_id, times in Counter(sets[file.stem]).items():
            if times > 1:
                findings.add("image-set", file.stem, f"{file}: {image_id}, {times} times")
        sets[file.stem] = list(dict.fromkeys(sets[file.stem]))
        if not sets[file.stem]:
            findings.add("form", file.stem, f"{file} names no image")
            del sets[file.stem]
    for name, ids in sorted(sets.items()):
        parts = {n: set(i) for n, i in sets.items() if set(i) < set(ids)}
        if parts and set().union(*parts.values()) == set(ids):
            joined = " and ".join(sorted(parts))
            findings.add("skipped", folder.name, f"{name}.txt ({joined} together)")
            del sets[name]
    if not lists:
        ids = sorted(file.stem for file in (folder / "Annotations").glob("*.xml"))
        if ids:
            sets[folder.resolve().name] = ids
        else:
            findings.add("form", folder.name, f"{folder / 'Annotations'} holds no XML file")
    return sets


def read_voc(split: Split, folder: Path, ids: list[str], findings: Findings) -> None:
    """Fills a split with the images of an image set; what is unusable is marked."""
    for image_id in ids:
        _read_image(split, folder, image_id, findings)
    split.classes = sorted({b.class_name for i in split.images for b in i.boxes if b.class_name})


def _read_image(split: Split, folder: Path, image_id: str, findings: Findings) -> None:
    try:
        path = image_file(folder, image_id)
    except DataError:
        path = split.image_folder / f"{image_id}.jpg"
    image = Image(path.name, path, None, {})
    split.images.append(image)
    file = folder / "Annotations" / f"{image_id}.xml"
    try:
        root = ET.parse(file).getroot()
    except ET.ParseError as error:
        line, column = error.position
        reason = str(error).partition(":")[0]
        findings.add("xml", split.name, f"{file}, line {line}, column {column + 1}: {reason} (XML)")
        image.damage = "xml"
        return
    except (OSError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        reason = getattr(error, "strerror", None) or str(error)
        findings.add("xml", split.name, f"{file}: {reason}")
        image.damage = "xml"
        return
    image.size = _read_size(root)
    if image.size is None:
        given = f"{_text(root, 'size/width')} x {_text(root, 'size/height')}"
        findings.add("image-entry", split.name, f"{file.name}: width x height is {given}")
    for i, item in enumerate(root.findall("object")):
        _read_object(item, f"{file.name}, object {i + 1}", image, split.name, findings)


def _read_size(root: ET.Element) -> tuple[int, int] | None:
    try:
        size = int(root.findtext("size/width", "")), int(root.findtext("size/height", ""))
    except ValueError:
        return None
    return size if min(size) > 0 else None


def _read_object(
    item: ET.Element, place: str, image: Image, split: str, findings: Findings
) -> None:
    name = item.findtext("name", "")
    corners = [_number(item.findtext(f"bndbox/{side}")) for side in _SIDES]
    x0, y0, x1, y1 = (0.0 if c is None else c for c in corners)
    bbox = [x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1]
    box = Box(name or None, {"bbox": bbox, "iscrowd": 0})
    image.boxes.append(box)
    if not name:
        findings.add("annotation-entry", split, f"{place}: name is missing")
        box.damage = "annotation-entry"
    if None in corners:
        given = ", ".join(f"{side} {_text(item, f'bndbox/{side}')}" for side in _SIDES)
        findings.add("box-form", split, f"{place}: {given}")
        box.damage = "box-form"
        return
    check_box(box, image, split, place, findings, [x0 - 1, y0 - 1, x1, y1])
    unreadable = [
        f"{path.rpartition('/')[2]} {_text(item, path)}"
        for path in ("truncated", "difficult", *(f"bndbox/{side}" for side in _SIDES))
        if not _is_integer(item.findtext(path))
    ]
    if item.find("pose") is None:
        unreadable.insert(0, "pose missing")
    if unreadable:
        findings.add("voc-evaluation", split, f"{place}: {', '.join(unreadable)}")
    elif int(item.findtext("difficult", "0")):
        findings.add("difficult", split, place)


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _is_integer(text: str | None) -> bool:
    try:
        int(text or "")
    except ValueError:
        return False
    return True


def _text(element: ET.Element, path: str) -> str:
    text = element.findtext(path)
    return "missing" if text is None else repr(text)
