"""Detections beside the ground truth, drawn on the images themselves."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.detection_utils import read_image
from PIL import Image

from ..data.drawing import colour_of, draw_boxes, grid, write_picture
from ..driver.detections import DETECTIONS_FILE
from ..files import parse_json

_SIDE = 560  # pixels of a drawn image's longer side
_MOST_ENLARGED = 5.0
Boxes = Sequence[Mapping[str, Any]]  # each with bbox (x, y, width, height), class, maybe score


def read_detections(folder: Path, png: Path) -> dict[str, Any]:
    """Draw ``detections.json`` of a search's folder, and write the pictures as one PNG file too.

    Returns:
        what the page shows. pictures: of each image, with its boxes and with what was found, as
        JPEG. classes: (name, colour) of those that occur. notes: images that can't be read.

    Raises:
        any Exception: the file can't be read, or holds something else.
    """
    content = parse_json((folder / DETECTIONS_FILE).read_bytes())
    names = dict(enumerate(map(str, content["classes"])))

    def name(number: int) -> str:
        return names.get(number, f"class {number}")

    notes: list[str] = []
    pictures: list[dict[str, Any]] = []
    drawn: list[np.ndarray] = []
    seen: set[int] = set()
    for image in content["images"]:
        file = Path(image["file"])
        try:
            pixels = read_image(str(file), "RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            notes.append(f"{file} can't be read: {getattr(error, 'strerror', None) or error}.")
            continue
        truth, found = image["ground_truth"], image["detections"]
        size = (image["width"], image["height"])
        pair = [_draw(pixels, boxes, name, size) for boxes in (truth, found)]
        drawn += pair
        seen |= {box["class"] for box in (*truth, *found)}
        counts = sorted(Counter(box["class"] for box in found).items())
        counted = ", ".join(f"{count} {name(c)}" for c, count in counts)
        alts = (
            f"{file.name} with the {len(truth)} boxes of its annotation",
            f"{file.name} with {len(found)} detections: {counted or 'none'}",
        )
        height, width, _ = pair[0].shape
        shown = list(zip(map(_as_uri, pair), alts, strict=True))
        pictures.append({"file": file.name, "shown": shown, "width": width, "height": height})
        pictures[-1]["is_empty"] = not found
    done, wanted = content["calibration_batches"]
    if drawn:
        write_picture(png, grid(drawn, columns=4))
    return {
        "pictures": pictures,
        "classes": [(name(c), colour_of(c)) for c in sorted(seen)],
        "dataset": str(content["dataset"]),
        "statistics": (int(done), int(wanted)),
        "least_score": float(content["least_score"]),
        "notes": notes,
    }


def draw_detections(dataset: str, predictions: Path, picture: Path) -> Path:
    """Draw what was found on a data set's first six images, side by side, as one PNG.

    Args:
        dataset: registered, in COCO form.
        predictions: ``coco_instances_results.json`` of a COCO evaluator: boxes
            (x, y, width, height) in pixels of the original image; those with a score of at least
            0.5 are drawn.
        picture: where to write; it is returned.
    """
    found: dict[Any, list[dict[str, Any]]] = {}
    records = DatasetCatalog.get(dataset)[:6]  # first: loading completes the metadata
    metadata = MetadataCatalog.get(dataset)
    for box in json.loads(predictions.read_text()):
        if box["score"] >= 0.5:
            box["class"] = metadata.thing_dataset_id_to_contiguous_id[box["category_id"]]
            found.setdefault(box["image_id"], []).append(box)
    name = metadata.thing_classes.__getitem__
    drawn = [
        _draw(read_image(r["file_name"], "RGB"), found.get(r["image_id"], ()), name)
        for r in records
    ]
    write_picture(picture, grid(drawn, columns=3))
    return picture


def _draw(
    pixels: np.ndarray, found: Boxes, name: Callable[[int], str], size: Sequence[float] = ()
) -> np.ndarray:
    """size: width and height that the boxes are of; else the image's."""
    height, width = pixels.shape[:2]
    boxes = np.array([box["bbox"] for box in found], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    if size:
        boxes *= 2 * [width / size[0], height / size[1]]
    scores = [box["score"] for box in found] if found and "score" in found[0] else None
    scale = min(_SIDE / max(width, height), _MOST_ENLARGED)
    return draw_boxes(pixels, boxes, [int(box["class"]) for box in found], scores, name, scale)


def _as_uri(picture: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
