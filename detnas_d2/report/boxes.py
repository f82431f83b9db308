"""Detections of the best network beside the ground truth, drawn on the validation images."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.drawing import colour_of, draw_boxes, grid, write_picture
from ..driver.detections import DETECTIONS_FILE
from ..files import parse_json
from .search_file import UNREADABLE

_SIDE = 560  # pixels of a drawn image's longer side
_MOST_ENLARGED = 5.0


@dataclass(frozen=True)
class Picture:
    """One validation image, twice: with the ground truth and with what was found.

    truth, found: data URIs (JPEG). is_empty: nothing was found.
    """

    file: str
    truth: str
    found: str
    truth_alt: str
    found_alt: str
    width: int
    height: int
    is_empty: bool


@dataclass(frozen=True)
class Detections:
    """All that the section shows. classes: (name, colour) of those that occur."""

    pictures: Sequence[Picture]
    classes: Sequence[tuple[str, str]]
    dataset: str
    statistics: tuple[int, int]
    least_score: float
    notes: Sequence[str]


def read_detections(folder: Path, png: Path) -> Detections | None:
    """Draw ``detections.json`` of a search's folder, and write the pictures as one PNG file too.

    Returns:
        None where there is no such file, or where it holds something else.

    Raises:
        OSError: the PNG file can't be written.
    """
    try:
        content = parse_json((folder / DETECTIONS_FILE).read_bytes())
        detections, drawn = _drawn(content)
    except UNREADABLE:
        return None
    if drawn:
        write_picture(png, grid(drawn, columns=4))
    return detections


def _drawn(content: Mapping[str, Any]) -> tuple[Detections, list[np.ndarray]]:
    """What is shown, and each image's two pictures: with the truth, and with what was found."""
    names = dict(enumerate(map(str, content["classes"])))
    notes: list[str] = []
    pictures: list[Picture] = []
    drawn: list[np.ndarray] = []
    seen: set[int] = set()
    for image in content["images"]:
        file = Path(image["file"])
        try:
            with Image.open(file) as opened:
                pixels = np.asarray(opened.convert("RGB"))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            notes.append(f"{file} can't be read: {getattr(error, 'strerror', None) or error}.")
            continue
        truth, found = image["ground_truth"], image["detections"]
        pair = [_draw(pixels, image, boxes, names) for boxes in (truth, found)]
        drawn += pair
        seen |= {box["class"] for box in (*truth, *found)}
        counts = sorted(Counter(box["class"] for box in found).items())
        counted = ", ".join(f"{count} {_name(c, names)}" for c, count in counts) or "none"
        pictures.append(
            Picture(
                *(file.name, _as_uri(pair[0]), _as_uri(pair[1])),
                f"{file.name} with the {len(truth)} boxes of its annotation",
                f"{file.name} with {len(found)} detections: {counted}",
                *(pair[0].shape[1], pair[0].shape[0], not found),
            )
        )
    done, wanted = content["calibration_batches"]
    classes = [(_name(c, names), colour_of(c)) for c in sorted(seen)]
    dataset, least = str(content["dataset"]), float(content["least_score"])
    return Detections(pictures, classes, dataset, (int(done), int(wanted)), least, notes), drawn


def _draw(
    pixels: np.ndarray,
    image: Mapping[str, Any],
    found: Sequence[Mapping[str, Any]],
    names: Mapping[int, str],
) -> np.ndarray:
    height, width = pixels.shape[:2]
    boxes = np.array([box["bbox"] for box in found], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return draw_boxes(
        pixels,
        boxes * (2 * [width / image["width"], height / image["height"]]),
        [int(box["class"]) for box in found],
        [box["score"] for box in found] if found and "score" in found[0] else None,
        lambda number: _name(number, names),
        min(_SIDE / max(width, height), _MOST_ENLARGED),
    )


def _name(number: int, names: Mapping[int, str]) -> str:
    return names.get(number, f"class {number}")


def _as_uri(picture: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
