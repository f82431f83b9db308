"""Whether a file is in COCO's form, told entry by entry; Detectron2 fails on much of it later."""

from __future__ import annotations

import json
import logging
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from detnas_d2.data.errors import DataError

logger = logging.getLogger(__name__)

LARGEST = 64 * 2**20
"""Bytes up to which a file is read twice to be checked; COCO's own, which are right, have more."""
_EXAMPLE = {
    "images": '{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}',
    "annotations": '{"id": 1, "image_id": 1, "category_id": 1, "bbox": [x, y, width, height]}',
    "categories": '{"id": 1, "name": "cat"}',
}


def check_coco_file(path: Path) -> None:
    """Check all entries of a COCO JSON file.

    Raises:
        DataError: a file that is not in COCO's form; it names the entry, what was expected there
            and what to do.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        problem = f"it is not JSON ({error}); it may be cut off or another file"
        raise _error(path, problem) from error
    except OSError as error:
        raise _error(path, f"it can't be read ({error.strerror})") from error
    if not isinstance(content, dict):
        raise _error(path, f"expected an object, got a {type(content).__name__}")
    ids = {}
    for part in ("images", "categories", "annotations"):
        entries = content.get(part, [])
        may_lack = part == "annotations"  # COCO's test sets have none
        if not isinstance(entries, list) or not (entries or may_lack):
            found = f"a {type(entries).__name__}" if entries else "none"
            raise _error(path, f'expected a list "{part}" of {_EXAMPLE[part]}, ..., got {found}')
        ids[part] = _check_part(path, part, entries)
    astray = 0
    for number, entry in enumerate(content.get("annotations", [])):
        astray += entry["image_id"] not in ids["images"]
        if entry["category_id"] not in ids["categories"]:
            problem = f"category_id is {entry['category_id']!r}, which no entry of categories has"
            raise _error(path, f"annotations[{number}] (id {entry['id']}): {problem}")
    if astray:
        logger.warning("%s: %d annotations are of images that it does not list", path, astray)


def _check_part(path: Path, part: str, entries: list[Any]) -> set[Hashable]:
    """Returns the ids."""
    ids: set[Hashable] = set()
    for number, entry in enumerate(entries):
        problem = _problem(part, entry)
        if problem is None and entry["id"] in ids:
            problem = "an entry before it has the same id"
        if problem:
            place = f"{part}[{number}]"
            if isinstance(entry, dict) and "id" in entry:
                place += f" (id {entry['id']!r})"
            raise _error(path, f"{place}: {problem}; expected {_EXAMPLE[part]}")
        ids.add(entry["id"])
    return ids


def _problem(part: str, entry: Any) -> str | None:
    if not isinstance(entry, Mapping):
        return f"it is a {type(entry).__name__}"
    for key in ("id", "image_id", "category_id"):
        types = (int,) if part == "categories" or key == "category_id" else (int, str)
        if (key == "id" or part == "annotations") and type(entry.get(key)) not in types:
            return _is_no(entry, key, "whole number")
    name = {"images": "file_name", "categories": "name"}.get(part)
    if name and not (isinstance(entry.get(name), str) and entry[name]):
        return _is_no(entry, name, "text")
    for key in ("width", "height") if part == "images" else ():
        if type(entry.get(key)) is not int or entry[key] < 1:
            return _is_no(entry, key, "whole number from 1")
    if part == "annotations":
        box = entry.get("bbox")
        if (
            not isinstance(box, list)
            or len(box) != 4
            or not all(type(x) in (int, float) for x in box)
        ):
            return _is_no(entry, "bbox", "list of four numbers")
        if entry.get("iscrowd", 0) not in (0, 1):
            return _is_no(entry, "iscrowd", "0 or 1")
    return None


def _is_no(entry: Mapping[str, Any], key: str, expected: str) -> str:
    return f"its {key} is {entry[key]!r}, no {expected}" if key in entry else f"it has no {key}"


def _error(path: Path, problem: str) -> DataError:
    return DataError(
        f"{path} is not in COCO's form: {problem}. Mend the file, or have all of its problems "
        f"listed: python -m detnas_d2.data.check {path}"
    )
