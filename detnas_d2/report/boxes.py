"""Detections of the best network beside the ground truth, drawn on the validation images."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from ..driver.detections import DETECTIONS_FILE
from ..files import write_atomically
from .style import PAPER, category

_SIDE = 560  # pixels of a drawn image's longer side
_MOST_ENLARGED = 5.0
_GAP = 8


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
        content = json.loads((folder / DETECTIONS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    try:
        return _drawn(content, png)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        return None


def _drawn(content: Mapping[str, Any], png: Path) -> Detections:
    names = [str(name) for name in content["classes"]]
    notes, pictures, pairs = [], [], []
    for image in content["images"]:
        file = Path(image["file"])
        try:
            with Image.open(file) as opened:
                pixels = opened.convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            notes.append(f"{file} can't be read: {getattr(error, 'strerror', None) or error}.")
            continue
        pair = [_draw(pixels, image, boxes, names) for boxes in ("ground_truth", "detections")]
        pairs.append(pair)
        pictures.append(
            Picture(
                file.name,
                _as_uri(pair[0]),
                _as_uri(pair[1]),
                f"{file.name} with the {len(image['ground_truth'])} boxes of its annotation",
                f"{file.name} with {len(image['detections'])} detections: "
                + _counted(image["detections"], names),
                *pair[0].size,
                not image["detections"],
            )
        )
    if pairs:
        _write_grid(pairs, png)
    seen = {b["class"] for i in content["images"] for b in (*i["ground_truth"], *i["detections"])}
    done, wanted = content["calibration_batches"]
    return Detections(
        pictures,
        [(_name(c, names), category(c)) for c in sorted(seen)],
        str(content["dataset"]),
        (int(done), int(wanted)),
        float(content["least_score"]),
        notes,
    )


def _draw(
    pixels: Image.Image, image: Mapping[str, Any], boxes: str, names: Sequence[str]
) -> Image.Image:
    scale = min(_SIDE / max(pixels.size), _MOST_ENLARGED)
    size = (max(1, round(pixels.width * scale)), max(1, round(pixels.height * scale)))
    drawn = pixels.resize(size, Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(drawn)
    across, down = size[0] / image["width"], size[1] / image["height"]
    for box in sorted(image[boxes], key=lambda b: b.get("score", 0.0)):
        x, y, w, h = box["bbox"]
        corners = (x * across, y * down, (x + w) * across - 1, (y + h) * down - 1)
        left, top = corners[:2]
        right, bottom = max(corners[2], left), max(corners[3], top)
        colour = category(box["class"])
        pen.rectangle((left, top, right, bottom), outline=colour, width=3)
        _label(pen, (left, top, right), _labels(box, names), colour)
    return drawn


def _labels(box: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """What may stand at a box, the longest first."""
    name = _name(box["class"], names)
    if "score" not in box:
        return [name]
    score = f"{100 * box['score']:.0f}%"
    return [f"{name} {score}", score]


def _label(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float, float],
    texts: Sequence[str],
    colour: str,
) -> None:
    """The longest text that is no wider than its box or, for the last, than 46 pixels."""
    left, top, right = place
    for text in texts:
        width = pen.textlength(text, font=_font())
        if width + 4 <= max(right - left, 46):
            top = max(top, 0)
            pen.rectangle((left, top, left + width + 5, top + 19), fill=colour)
            pen.text((left + 3, top + 1), text, font=_font(), fill="white")
            return


@cache
def _font() -> ImageFont.FreeTypeFont:
    file = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans-Bold.ttf"
    return ImageFont.truetype(str(file), 15)


def _name(number: int, names: Sequence[str]) -> str:
    return names[number] if 0 <= number < len(names) else f"class {number}"


def _counted(boxes: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    classes = [b["class"] for b in boxes]
    counts = [f"{classes.count(c)} {_name(c, names)}" for c in sorted(set(classes))]
    return ", ".join(counts) or "none"


def _as_uri(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _write_grid(pairs: Sequence[Sequence[Image.Image]], png: Path) -> None:
    """Two pairs in a row: ground truth on the left of each."""
    width = max(p.width for pair in pairs for p in pair)
    height = max(p.height for pair in pairs for p in pair)
    rows = -(-len(pairs) // 2)
    grid = Image.new("RGB", (4 * width + 5 * _GAP, rows * height + (rows + 1) * _GAP), PAPER)
    for i, pair in enumerate(pairs):
        for j, picture in enumerate(pair):
            column = 2 * (i % 2) + j
            place = (_GAP + column * (width + _GAP), _GAP + i // 2 * (height + _GAP))
            grid.paste(picture, place)
    write_atomically(png, lambda stream: grid.save(stream, "PNG", compress_level=1))
