"""Reads a COCO JSON file entry by entry: what Detectron2 would stop on is a finding here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .dataset import Box, Image, Split, check_box
from .findings import Findings
from .masks import has_usable_mask, has_valid_keypoints, has_valid_mask, is_number, is_polygon

_LISTS = ("images", "annotations", "categories")


def load_json(path: Path, findings: Findings, *, keep_masks: bool = True) -> Any:
    """The file's contents, or None with a finding that names line and column.

    Args:
        keep_masks: with `segmentation` and `keypoints` that are fine; they take most of the memory.
    """
    hook = None if keep_masks else _without_masks
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_hook=hook)
    except json.JSONDecodeError as error:
        place = f"{path}, line {error.lineno}, column {error.colno}: {error.msg}"
        findings.add("file", path.name, f"{place} (JSON)")
    except UnicodeDecodeError as error:
        findings.add("file", path.name, f"{path}, byte {error.start}: the file is not in UTF-8")
    except RecursionError:
        findings.add("file", path.name, f"{path}: nested too deeply for a COCO JSON file")
    except OSError as error:
        findings.add("file", path.name, f"{path}: {error.strerror}")
    except ValueError as error:
        findings.add("file", path.name, f"{path}: {error}")
    else:
        if content is None:
            findings.add("file", path.name, f"{path}: expected an object, got null")
        return content
    return None


def _without_masks(entry: dict[str, Any]) -> dict[str, Any]:
    if ("segmentation" in entry or "keypoints" in entry) and has_usable_mask(entry):
        entry.pop("segmentation", None)
        entry.pop("keypoints", None)
    return entry


def is_coco(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("images"), list)


def read_coco(split: Split, content: Any, findings: Findings) -> bool:
    """Fills a split with the contents of its file; what is unusable is marked.

    Returns:
        False, with a finding, where the file is not in COCO's form at all.
    """
    wrong = _wrong_form(content)
    for reason in wrong:
        findings.add("form", split.name, f"{split.file}: {reason}")
    if wrong:
        return False
    names = _read_categories(split, content["categories"], findings)
    images, doubtful = _read_images(split, content["images"], findings)
    _Annotations(split, images, doubtful, names, findings).read(content["annotations"])
    return True


def _wrong_form(content: Any) -> list[str]:
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else f"a {type(content).__name__}"
        hint = " (of results or annotations alone?)" if isinstance(content, list) else ""
        return [f"expected an object with {', '.join(map(repr, _LISTS))}, got {kind}{hint}"]
    wrong = []
    for key in _LISTS:
        if key not in content:
            near = [k for k in content if k.lower().rstrip("s") == key.rstrip("s")]
            wrong.append(f"it has no {key!r}" + (f", but {near[0]!r}" if near else ""))
        elif not isinstance(content[key], list):
            wrong.append(f"{key!r} has to be a list, got a {type(content[key]).__name__}")
        elif not content[key] and key != "annotations":
            wrong.append(f"{key!r} is empty")
    return wrong


def _read_categories(split: Split, entries: list[Any], findings: Findings) -> dict[int, str]:
    names: dict[int, str] = {}
    for i, entry in enumerate(entries):
        place = f"categories[{i}]"
        number, name = _get(entry, "id"), _get(entry, "name")
        if not _is_integer(number):
            findings.add("category-entry", split.name, f"{place}: id is {_show(number)}")
        elif number in names:
            findings.add("category-entry", split.name, f"{place}: id {number} was there before")
        elif not isinstance(name, str) or not name:
            findings.add("category-entry", split.name, f"{place}: name is {_show(name)}")
        else:
            names[number] = name
    split.classes = [names[number] for number in sorted(names)]
    if names and sorted(names) not in (
        list(range(len(names))),
        list(range(1, len(names) + 1)),
    ):
        gaps = f"{len(names)} categories with ids from {min(names)} to {max(names)}"
        findings.add("category-ids", split.name, gaps)
    return names


def _read_images(
    split: Split, entries: list[Any], findings: Findings
) -> tuple[dict[Any, Image], set[Any]]:
    """The images by id, and the ids that different images share."""
    images: dict[Any, Image] = {}
    doubtful: set[Any] = set()
    kinds = Counter(type(_get(entry, "id")) for entry in entries)
    kind = str if kinds[str] > kinds[int] else int
    for i, entry in enumerate(entries):
        number, name = _get(entry, "id"), _get(entry, "file_name")
        if not isinstance(name, str) or not name:
            findings.add("image-entry", split.name, f"images[{i}]: file_name is {_show(name)}")
            name = ""
        label = name or f"images[{i}]"
        size = _read_size(entry)
        if size is None:
            given = f"{_show(_get(entry, 'width'))} x {_show(_get(entry, 'height'))}"
            findings.add("image-entry", split.name, f"{label}: width x height is {given}")
        entry = entry if isinstance(entry, dict) else {}
        image = Image(name, split.image_folder / name, size, entry)
        split.images.append(image)
        if not name:
            image.damage = "image-entry"
        if type(number) is not kind:
            expected = "an integer" if kind is int else "a text as the others"
            place = f"{label}: id is {_show(number)}, expected {expected}"
            findings.add("image-entry", split.name, place)
            image.damage = "image-entry"
            continue
        if number in images:
            findings.add("image-id-twice", split.name, f"{label}: id {number}")
            if images[number].file_name != name:
                doubtful.add(number)
                images[number].damage = image.damage = "image-id-twice"
            continue
        images[number] = image
    return images, doubtful


def _read_size(entry: Any) -> tuple[int, int] | None:
    width, height = _get(entry, "width"), _get(entry, "height")
    return (width, height) if _is_length(width) and _is_length(height) else None


class _Annotations:
    """Attaches the annotations to their images."""

    def __init__(
        self,
        split: Split,
        images: dict[Any, Image],
        doubtful: set[Any],
        names: dict[int, str],
        findings: Findings,
    ) -> None:
        self._split, self._images, self._doubtful = split.name, images, doubtful
        self._names, self._findings = names, findings
        self._ids: set[Any] = set()

    def read(self, entries: list[Any]) -> None:
        for i, entry in enumerate(entries):
            self._read_one(entry, i)

    def _read_one(self, entry: Any, i: int) -> None:
        lacking = [k for k in ("id", "image_id", "category_id") if not _is_id(_get(entry, k))]
        if lacking:
            given = ", ".join(f"{key} is {_show(_get(entry, key))}" for key in lacking)
            self._findings.add("annotation-entry", self._split, f"annotations[{i}]: {given}")
            return
        image = self._images.get(entry["image_id"])
        place = f"{image.file_name if image else 'no image'}, annotation {entry['id']}"
        if entry["id"] in self._ids:
            self._findings.add("annotation-id-twice", self._split, place)
        self._ids.add(entry["id"])
        box = Box(self._names.get(entry["category_id"]), entry)
        self._check_values(box, place)
        if image is None:
            place = f"annotation {entry['id']}: image_id {entry['image_id']}"
            self._findings.add("annotation-without-image", self._split, place)
            return
        image.boxes.append(box)
        if entry["image_id"] in self._doubtful:
            box.damage = "image-id-twice"
        self._check_place(box, image, place)

    def _check_values(self, box: Box, place: str) -> None:
        """What has to be right whether the image is there or not."""
        entry = box.entry
        if box.class_name is None:
            self._mark(box, "category-unknown", f"{place}: category_id {entry['category_id']}")
        if entry.get("iscrowd", 0) not in (0, 1):
            self._mark(box, "annotation-entry", f"{place}: iscrowd is {_show(entry['iscrowd'])}")
        if entry.get("ignore", 0) != 0:
            self._mark(box, "annotation-entry", f"{place}: ignore is {_show(entry['ignore'])}")
        if not _is_box(entry.get("bbox")):
            self._mark(box, "box-form", f"{place}: bbox is {_show(entry.get('bbox'))}")

    def _check_place(self, box: Box, image: Image, place: str) -> None:
        entry = box.entry
        self._check_shape(entry, place)
        if box.damage is None and box.is_crowd:
            self._findings.add("crowd", self._split, place)
        if not _is_box(entry.get("bbox")):
            return
        if not is_number(entry.get("area")):
            self._findings.add("area", self._split, f"{place}: area is {_show(entry.get('area'))}")
        check_box(box, image, self._split, place, self._findings)

    def _mark(self, box: Box, code: str, place: str) -> None:
        self._findings.add(code, self._split, place)
        box.damage = box.damage or code

    def _check_shape(self, entry: Mapping[str, Any], place: str) -> None:
        polygons = entry.get("segmentation")
        if not has_valid_mask(polygons):
            shown = f"{place}: segmentation is {_show(polygons)}"
            self._findings.add("segmentation-form", self._split, shown)
        elif polygons and isinstance(polygons, list) and not any(map(is_polygon, polygons)):
            self._findings.add("polygon", self._split, f"{place}: {_show(polygons)}")
        if not has_valid_keypoints(entry.get("keypoints")):
            shown = f"{place}: keypoints is {_show(entry['keypoints'])}"
            self._findings.add("segmentation-form", self._split, shown)


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(map(is_number, box))


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _is_length(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**31


def _is_id(value: Any) -> bool:
    return type(value) is int or type(value) is str


def _get(entry: Any, key: str) -> Any:
    return entry.get(key) if isinstance(entry, dict) else None


def _show(value: Any) -> str:
    if value is None:
        return "missing"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
