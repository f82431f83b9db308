"""Reads a COCO JSON file entry by entry: mends what has one meaning, leaves out what has none."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detnas_d2.data.dataset import Box, Image, Split
from detnas_d2.data.findings import Findings
from detnas_d2.data.values import box_of_mask, identity, is_keypoints, is_mask, number, show, whole
from detnas_d2.files import parse_json

_IDS = ("image_id", "category_id")
_LISTS = ("images", "annotations", "categories")
_LARGEST_AREA = 1e10  # of COCO's evaluation, which passes over what is above
_LARGEST = 2**31  # pixels


def load_json(path: Path, findings: Findings) -> Any:
    """The file's contents in whatever encoding; None, with a finding, where it is no JSON."""
    try:
        data = path.read_bytes()
        encoding: str = json.detect_encoding(data)  # UTF-8 (-sig: with its mark), -16 or -32
        try:
            content = parse_json(data)
        except UnicodeDecodeError:
            encoding = "Windows-1252"
            content = parse_json(data.decode("cp1252"))
        if encoding != "utf-8":
            findings.add("mended", path.name, f"{path}: its encoding is {encoding}, not utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is no JSON ({error})"
        findings.add("form", path.name, f"{path}: {reason}")
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
    reader.read_all(content, "categories", reader.read_class)
    reader.read_all(content, "images", reader.read_image)
    reader.read_all(content, "annotations", reader.read_box)
    split.classes = {key: split.classes[key] for key in sorted(split.classes, key=order)}
    split.images = [image for key, image in reader.images.items() if key not in reader.doubtful]
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
            wrong.append(f"it has no {key!r}, but {', '.join([*content][:9]) or 'nothing'}")
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

    def read_all(self, content: Any, key: str, read: Callable[[dict[str, Any]], None]) -> None:
        for i, entry in enumerate(content.get(key) or []):
            entry = entry if isinstance(entry, dict) else {}
            self._place: tuple[str, int, dict[str, Any]] = (key, i, entry)
            read(entry)

    def _note(self, code: str, what: str, name: str = "") -> None:
        """The place is put together here, for most of millions of entries need none."""
        key, i, entry = self._place
        place = f"{name}, " if name else ""
        self._findings.add(
            code, self._split.name, f"{place}{key}[{i}] (id {show(entry, 'id')}): {what}"
        )

    def read_class(self, entry: dict[str, Any]) -> None:
        key, name = identity(entry.get("id")), entry.get("name")
        bare = " ".join(name.split()) if isinstance(name, str) else ""
        if key is None or key in self._split.classes or not bare:
            self._note("skipped", f"{_shown(entry, 'name')}; expected an id of its own and a text")
            return
        if type(entry["id"]) is not int:
            self._note("mended", f"id taken as a number, {bare}")
        if name != bare:
            self._note("detail", f"blanks around the name {name!r}")
        self._split.classes[key] = bare

    def read_image(self, entry: dict[str, Any]) -> None:
        key, name = identity(entry.get("id")), entry.get("file_name")
        if key is None or not isinstance(name, str) or not name:
            self._note("image", f"{_shown(entry, 'file_name')}; expected an id and a text")
            return
        sides = (entry.get("width"), entry.get("height"))
        width, height = (whole(side) or 0 for side in sides)
        if not (0 < width < _LARGEST and 0 < height < _LARGEST):
            width = height = 0
        if type(entry["id"]) is float or (width and any(type(side) is not int for side in sides)):
            what = f"{_shown(entry, 'width', 'height')}, taken as whole numbers"
            self._note("mended", what, name)
            entry["id"] = key
        image = Image(name, self._split.image_folder / name, (width, height), entry)
        former = self.images.setdefault(key, image)
        if former is not image:
            same = former.file_name == name
            if same:
                self._note("mended", "named twice, taken as one", name)
            else:
                why = f"{former.file_name} has this id, too: whose its boxes are cannot be known"
                self._note("image", why, name)
                self.doubtful.add(key)

    def read_box(self, entry: dict[str, Any]) -> None:
        key, category = identity(entry.get("image_id")), identity(entry.get("category_id"))
        if key in self.doubtful:
            return  # its images are listed
        image = self.images.get(key)
        if key is None or category is None:
            self._note("box", _shown(entry, *_IDS))
        elif image is None:
            self._note("box-damaged", _shown(entry, *_IDS))
        elif category not in self._split.classes:
            why = f"{_shown(entry, *_IDS)}, a category that the file does not define"
            self._note("box", why, image.file_name)
        elif self._clean_values(entry, image.file_name):
            if entry["image_id"] != image.entry["id"] or type(entry["category_id"]) is not int:
                what = f"{_shown(entry, *_IDS)}, taken as {key} and {category}"
                self._note("mended", what, image.file_name)
            entry["image_id"], entry["category_id"] = image.entry["id"], category
            box_id = identity(entry.get("id"))
            if box_id is None or box_id in self._box_ids:
                self._note("mended", "numbered anew, for the id is not its own", image.file_name)
            self._box_ids.add(box_id)
            image.boxes.append(Box(self._split.classes[category], entry))

    def _clean_values(self, entry: dict[str, Any], name: str) -> bool:
        """Whether there is a box; its values are right then."""
        crowd, ignore = (whole(entry.get(key) or 0) for key in ("iscrowd", "ignore"))
        if crowd not in (0, 1) or ignore != 0:
            shown = _shown(entry, "iscrowd", "ignore")
            self._note("box", f"{shown}; expected 0 or 1, and 0", name)
            return False
        if type(entry.get("iscrowd", 0)) is not int:
            self._note("mended", f"{_shown(entry, 'iscrowd')}, taken as {crowd}", name)
        entry["iscrowd"] = crowd
        for key, is_right in (("segmentation", is_mask), ("keypoints", is_keypoints)):
            if entry.get(key) and not is_right(entry[key]):
                self._note("detail", f"{key} removed: {show(entry, key)}", name)
                del entry[key]
        given = entry.get("bbox")
        numbers = [number(x) for x in given] if isinstance(given, list) else []
        box: list[float] = [x for x in numbers if x is not None]
        if len(box) != 4 or len(numbers) != 4:
            box = box_of_mask(entry.get("segmentation")) or []
            if not box:
                self._note("box", f"{_shown(entry, 'bbox')}, expected four numbers", name)
                return False
            self._note("mended", f"the box {box} taken from its mask", name)
        elif any(isinstance(x, str) for x in given or ()):
            self._note("mended", f"{_shown(entry, 'bbox')}, taken as numbers", name)
        entry["bbox"] = box
        area = entry.get("area")
        if not isinstance(area, (int, float)) or not 0 < area <= _LARGEST_AREA:
            if min(box[2:]) > 0 or not isinstance(area, (int, float)):  # others are left out
                # evaluators read a wrong one as it is; one that is not there, ours computes, too
                code = "mended" if "area" in entry else "detail"
                self._note(code, f"{_shown(entry, 'area')}, computed from the box", name)
            entry["area"] = box[2] * box[3]
        return True


def order(key: Any) -> tuple[bool, Any]:
    return isinstance(key, str), key


def _shown(entry: dict[str, Any], *keys: str) -> str:
    return ", ".join(f"{key} is {show(entry, key)}" for key in keys)
