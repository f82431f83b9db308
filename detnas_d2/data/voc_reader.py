"""Reads a folder in Pascal VOC's form, whatever its parts are called and are encoded in."""

from __future__ import annotations

import contextlib
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from detnas_d2.data.dataset import Box, Image, Split
from detnas_d2.data.findings import Findings
from detnas_d2.data.image_files import find_image, listed
from detnas_d2.data.values import number, whole

ANNOTATION_FOLDERS = ("annotations", "annots", "labels", "xml", "xmls")
IMAGE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img")
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*encoding=["']([\w.-]+)["']""")


def voc_parts(folder: Path) -> tuple[Path, Path] | None:
    """The folders of the XML files and of the images (where there is none: the former) of a VOC
    folder; None of another."""
    there = [path for path in folder.iterdir() if path.is_dir()]
    named = [f for name in ANNOTATION_FOLDERS for f in there if f.name.lower() == name]
    images = [f for name in IMAGE_FOLDERS for f in there if f.name.lower() == name]
    for xml in named:
        empty = xml.name == "Annotations" and images and images[0].name == "JPEGImages"
        if empty or next(listed(xml, ".xml"), None):
            return xml, images[0] if images else xml
    return None


def image_sets(folder: Path, annotations: Path, findings: Findings) -> dict[str, list[str]]:
    """Image ids by image set; without ImageSets/Main, of all annotation files as one set.

    Sets with a second column (VOC's lists of one class) and sets that only join others (trainval)
    are passed over.
    """
    sets: dict[str, list[str]] = {}
    names = {path.stem for path in listed(annotations, ".xml")}
    for file in sorted(listed(folder / "ImageSets" / "Main", ".txt")):
        try:
            lines = read_text(file.read_bytes()).splitlines()
        except OSError as error:
            findings.add("form", file.stem, f"{file}: {error}")
            continue
        ids = [line.strip().strip("\"'") for line in lines if line.strip()]
        if not ids or (not names & set(ids) and any(len(i.split()) > 1 for i in ids)):
            reason = "more than one column" if ids else "it names no image"
            findings.add("skipped", folder.name, f"{file} ({reason})")
            continue
        sets[file.stem] = list(dict.fromkeys(ids))
        if len(sets[file.stem]) < len(ids):
            findings.add("mended", file.stem, f"{file}: images named twice, taken as one")
    for name, of_name in sorted(sets.items()):
        parts = {n: set(ids) for n, ids in sets.items() if set(ids) < set(of_name)}
        if set().union(*parts.values()) == set(of_name):
            joined = " and ".join(sorted(parts))
            findings.add("skipped", folder.name, f"{name}.txt ({joined} together)")
            del sets[name]
    if not sets and names:
        return {folder.resolve().name: sorted(names)}
    if not sets:
        findings.add("form", folder.name, f"{annotations} holds no XML file")
    return sets


def read_voc(split: Split, annotations: Path, ids: list[str], findings: Findings) -> None:
    """Fills a split with the images of an image set.

    A box is [x, y, width, height] of VOC's pixels, which count from 1 and include both ends.

    Args:
        annotations: the folder of the XML files.
    """
    for image_id in ids:
        path = find_image(split.image_folder, image_id)
        if path is None:
            findings.add("image", split.name, f"{image_id} is missing in {split.image_folder}")
            continue
        file = annotations / f"{image_id}.xml"
        try:
            root, is_plain = parse_xml(file.read_bytes())
        except (OSError, ValueError, ET.ParseError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            findings.add("image", split.name, f"{file}: {reason}")
            continue
        if not is_plain:
            findings.add("mended", split.name, f"{file}: read in another encoding")
        width, height = (whole(root.findtext(f"size/{side}")) or 0 for side in ("width", "height"))
        size = (width, height) if min(width, height) > 0 else (0, 0)
        split.images.append(Image(path.name, path, size, {"id": image_id}))
        for i, item in enumerate(root.findall("object")):
            _read_object(item, f"{file.name}, object {i + 1}", split, findings)
    names = sorted({box.class_name for box in split.boxes})
    split.classes = dict(enumerate(names, 1))


def _read_object(item: ET.Element, place: str, split: Split, findings: Findings) -> None:
    given = item.findtext("name", "")
    name = " ".join(given.split())
    texts = [item.findtext(f"bndbox/{side}") for side in _SIDES]
    corners = [x for text in texts if (x := number(text)) is not None]
    shown = ", ".join(f"{s} {t!r}" for s, t in zip(_SIDES, texts, strict=True))
    if not name or len(corners) < len(_SIDES):
        findings.add("box", split.name, f"{place}: name {given!r}, {shown}")
        return
    if given != name:
        findings.add("mended", split.name, f"{place}: blanks around the name {given!r}")
    x0, y0, x1, y1 = corners
    bbox = [x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1]
    entry = {"bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0}
    split.images[-1].boxes.append(Box(name, entry))
    flags = {flag: item.findtext(flag) for flag in ("pose", "truncated", "difficult")}
    if None in flags.values() or not all(map(is_integer, [*texts, *[*flags.values()][1:]])):
        what = "Detectron2's VOC evaluation reads whole numbers and all of these"
        findings.add("detail", split.name, f"{place}: {shown}, {flags}; {what}")
    if whole(flags["difficult"]):
        findings.add("difficult", split.name, place)


def parse_xml(data: bytes) -> tuple[ET.Element, bool]:
    """An XML file's root, in encodings that expat does not know and with a wrong declaration, too.

    Returns:
        the root, and whether Python's parser reads the file as it is.

    Raises:
        ET.ParseError, ValueError: it is no XML.
    """
    try:
        return ET.fromstring(data), True
    except (ET.ParseError, ValueError, LookupError):
        declared = _DECLARED.match(data)
        if declared is None and data.isascii():
            raise
    text = read_text(data, *([declared[1].decode()] if declared else []))
    return ET.fromstring(re.sub(r"^\s*<\?xml.*?\?>", "", text)), False


def read_text(data: bytes, *encodings: str) -> str:
    """A text in one of the encodings, UTF-8 or, as a last resort, Windows-1252."""
    for encoding in (*encodings, "utf-8-sig"):
        with contextlib.suppress(UnicodeDecodeError, LookupError):
            return data.decode(encoding)
    return data.decode("cp1252", "replace")


def is_integer(text: str | None) -> bool:
    """Whether Detectron2's VOC evaluation reads the text, by ``int``."""
    try:
        int(text or "")
    except ValueError:
        return False
    return True
