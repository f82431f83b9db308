"""Reads a COCO JSON file entry by entry: mends what has one meaning, leaves out what has none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detnas_d2.data.dataset import Box, Image, Split
from detnas_d2.data.findings import Findings
from detnas_d2.data.masks import box_of_mask, has_right_mask
from detnas_d2.data.values import identity, number, show, whole
from detnas_d2.files import parse_json

_LISTS = ("images", "annotations", "categories")
_LARGEST_AREA = 1e10  # of COCO's evaluation, which passes over what is above
_LARGEST = 2**31  # pixels


def load_json(path: Path, findings: Findings) -> Any:
    """The file's contents in whatever encoding; None, with a finding, where it is no JSON."""
    try:
        data = path.read_bytes()
        try:
            content = parse_json(data)  # UTF-8, -16 or -32, with or without a byte order mark
        except UnicodeDecodeError:
            content = parse_json(data.decode("cp1252"))
            findings.add("encoding", path.name, f"{path}: read as Windows-1252")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is no JSON ({error})"
        findings.add("file", path.name, f"{path}: {reason}")
        return None
    return {} if content is None else content


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Looking for garbage among the millions of objects of a large file would double the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def is_coco(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("images"), list)


def read_coco(split: Split, content: Any, findings: Findings) -> bool:
    """Fills a split with the contents of its file, which are changed on the way.

    Returns:
        False, with a finding, where the file is not in COCO's form at all.
    """
    wrong = _wrong_form(content)
    for reason in wrong:
        findings.add("form", split.name, f"{split.file}: {reason}")
    if wrong:
        return False
    reader = _Reader(split, findings)
    for i, entry in enumerate(content["categories"]):
        reader.read_class(entry, f"categories[{i}]")
    split.classes = {key: split.classes[key] for key in sorted(split.classes, key=order)}
    for i, entry in enumerate(content["images"]):
        reader.read_image(entry, f"images[{i}]")
    split.images = [image for key, image in reader.images.items() if key not in reader.doubtful]
    for i, entry in enumerate(content.get("annotations") or []):
        reader.read_box(entry, f"annotations[{i}]")
    return True


def _wrong_form(content: Any) -> list[str]:
    if not isinstance(content, dict):
        hint = " (of results or annotations alone?)" if isinstance(content, list) else ""
        lists = ", ".join(map(repr, _LISTS))
        return [f"expected an object with {lists}, got a {type(content).__name__}{hint}"]
    wrong = []
    for key in _LISTS:
        value = content.get(key)
        if value is None and key != "annotations":  # COCO's test sets have none
            near = [k for k in content if k.lower().rstrip("s") == key.rstrip("s")]
            wrong.append(f"it has no {key!r}" + (f", but {near[0]!r}" if near else ""))
        elif value is not None and not isinstance(value, list):
            wrong.append(f"{key!r} has to be a list, got a {type(value).__name__}")
        elif not value and key != "annotations":
            wrong.append(f"{key!r} is empty")
    return wrong


class _Reader:
    """Of one file; `doubtful` are the ids that different images share."""

    def __init__(self, split: Split, findings: Findings) -> None:
        self._split, self._findings = split, findings
        self.images: dict[Any, Image] = {}
        self.doubtful: set[Any] = set()
        self._box_ids: set[Any] = set()
        self._place: tuple[Image | None, str, dict[str, Any]] = (None, "", {})

    def _note(self, code: str, place: str) -> None:
        self._findings.add(code, self._split.name, place)

    def _note_box(self, code: str, what: str = "") -> None:
        """The place is put together here, for most of millions of boxes need none."""
        image, place, entry = self._place
        name = image.file_name if image else "no image"
        place = f"{name}, {place} (id {show(entry.get('id'))})"
        self._note(code, f"{place}: {what}" if what else place)

    def read_class(self, entry: Any, place: str) -> None:
        entry = entry if isinstance(entry, dict) else {}
        key, name = identity(entry.get("id")), entry.get("name")
        if (
            key is None
            or key in self._split.classes
            or not isinstance(name, str)
            or not _bare(name)
        ):
            shown = f"id is {show(entry.get('id'))}, name is {show(name)}"
            self._note("class-entry", f"{place}: {shown}; expected an id of its own and a text")
            return
        if type(entry["id"]) is not int:
            self._note("number", f"{place}: id is {show(entry['id'])}")
        if name != _bare(name):
            self._note("class-blanks", repr(name))
        self._split.classes[key] = _bare(name)

    def read_image(self, entry: Any, place: str) -> None:
        entry = entry if isinstance(entry, dict) else {}
        key, name = identity(entry.get("id")), entry.get("file_name")
        if key is None or not isinstance(name, str) or not name:
            shown = f"id is {show(entry.get('id'))}, file_name is {show(name)}"
            self._note("image-entry", f"{place}: {shown}; expected a number and a text")
            return
        width, height = (whole(entry.get(side)) for side in ("width", "height"))
        fits = width and height and 0 < width < _LARGEST and 0 < height < _LARGEST
        if type(entry["id"]) is float or (fits and (width, height) != _typed_size(entry)):
            shown = f"id {show(entry['id'])}, {show(entry.get('width'))} x "
            self._note("number", f"{name}: {shown}{show(entry.get('height'))}")
            entry["id"] = key
        size = (width, height) if width and height and fits else None
        image = Image(name, self._split.image_folder / name, size, entry)
        former = self.images.setdefault(key, image)
        if former is not image:
            same = former.file_name == name
            self._note("image-twice" if same else "image-id-twice", f"{name}: id {key}")
            if not same:
                self.doubtful.add(key)

    def read_box(self, entry: Any, place: str) -> None:
        entry = entry if isinstance(entry, dict) else {}
        key = identity(entry.get("image_id"))
        if key in self.doubtful:
            return  # its images are listed
        image = self.images.get(key)
        category = identity(entry.get("category_id"))
        self._place = (image, place, entry)
        if key is None or category is None:
            shown = ", ".join(f"{k} is {show(entry.get(k))}" for k in ("image_id", "category_id"))
            self._note_box("box-entry", f"{shown}")
        elif image is None:
            self._note_box("box-without-image", f"image_id {show(entry['image_id'])}")
        elif category not in self._split.classes:
            self._note_box("class-unknown", f"category_id {show(entry['category_id'])}")
        elif self._clean_values(entry):
            if entry["image_id"] != image.entry["id"] or type(entry["category_id"]) is not int:
                ids = f"image_id {show(entry['image_id'])}, category_id "
                self._note_box("number", f"{ids}{show(entry['category_id'])}")
            entry["image_id"], entry["category_id"] = image.entry["id"], category
            box_id = identity(entry.get("id"))
            if box_id is None or box_id in self._box_ids:
                self._note_box("id-twice")
            self._box_ids.add(box_id)
            image.boxes.append(Box(self._split.classes[category], entry))

    def _clean_values(self, entry: dict[str, Any]) -> bool:
        """Whether there is a box; its values are right then."""
        crowd, ignore = (whole(entry.get(key) or 0) for key in ("iscrowd", "ignore"))
        if crowd not in (0, 1) or ignore != 0:
            shown = ", ".join(f"{k} is {show(entry.get(k))}" for k in ("iscrowd", "ignore"))
            self._note_box("box-entry", f"{shown}; expected 0 or 1, and 0")
            return False
        if type(entry.get("iscrowd", 0)) is not int:
            self._note_box("number", f"iscrowd is {show(entry['iscrowd'])}")
        entry["iscrowd"] = crowd
        if not has_right_mask(entry):
            self._note_box("mask")
            entry.pop("segmentation", None)
            entry.pop("keypoints", None)
        given = entry.get("bbox")
        numbers = [number(x) for x in given] if isinstance(given, list) else []
        box: list[float] = [x for x in numbers if x is not None]
        if len(box) != 4 or len(numbers) != 4:
            from_mask = box_of_mask(entry.get("segmentation"))
            if from_mask is None:
                self._note_box("box-entry", f"bbox is {show(given)}, expected four numbers")
                return False
            self._note_box("box-from-mask")
            entry["bbox"] = box = from_mask
        elif box != given:  # NaN is not equal to itself; such a box is left out later
            if any(isinstance(x, str) for x in given or ()):
                self._note_box("number", f"bbox is {show(given)}")
            entry["bbox"] = box
        area = entry.get("area")
        if not isinstance(area, (int, float)) or not 0 < area <= _LARGEST_AREA:
            if min(box[2:]) > 0:  # another one is left out
                self._note_box("area", f"area is {show(area)}")
            entry["area"] = box[2] * box[3]
        return True


def order(key: Any) -> tuple[bool, Any]:
    return isinstance(key, str), key


def _typed_size(entry: dict[str, Any]) -> Any:
    """Width and height where they are whole numbers, as they have to be."""
    sides = (entry.get("width"), entry.get("height"))
    return sides if all(type(side) is int for side in sides) else None


def _bare(name: str) -> str:
    return " ".join(name.split())
