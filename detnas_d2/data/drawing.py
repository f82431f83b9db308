"""Boxes drawn into an image, a colour for each class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from detectron2.utils.visualizer import Visualizer

from ..files import write_atomically

# Okabe and Ito's, which the colour-blind can tell apart; light enough for labels on black
COLOURS = ("#56b4e9", "#e69f00", "#2fc79a", "#f0e442", "#cc79a7", "#ff7f4d", "#b3b3b3")


def colour_of(number: int) -> str:
    """Of a class; colours repeat after seven."""
    return COLOURS[number % len(COLOURS)]


def draw_boxes(
    image: np.ndarray,
    boxes: np.ndarray,
    classes: Sequence[int],
    scores: Sequence[float] | None,
    name: Callable[[int], str],
    scale: float = 1.0,
) -> np.ndarray:
    """Draw N boxes, each with its class and, of detections, its score.

    Args:
        image: (H, W, 3), RGB, uint8.
        boxes: (N, 4), as (x0, y0, x1, y1) in pixels of the image.
        classes: numbers from 0.
        scores: from 0 to 1; None of an annotation.
        name: of a class.
        scale: of the drawn image to `image`.

    Returns:
        (scale * H, scale * W, 3), RGB, uint8.
    """
    labels = [name(c) for c in classes]
    if scores is not None:
        labels = [f"{label} {score:.0%}" for label, score in zip(labels, scores, strict=True)]
    colours = [colour_of(c) for c in classes]
    with matplotlib.rc_context({"text.parse_math": False}):  # names of classes are anyone's
        canvas = Visualizer(image, scale=scale)
        drawn = canvas.overlay_instances(boxes=boxes, labels=labels, assigned_colors=colours)
    picture: np.ndarray = drawn.get_image()
    return picture


def grid(pictures: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures (H, W, 3), of any sizes, in rows on white, each in a cell of the largest's size."""
    height, width = (max(p.shape[axis] for p in pictures) for axis in (0, 1))
    rows = -(-len(pictures) // columns)
    shape = (rows * height, min(columns, len(pictures)) * width, 3)
    whole = np.full(shape, 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * height, i % columns * width
        whole[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return whole


def write_picture(file: Path, picture: np.ndarray) -> None:
    """Write (H, W, 3), RGB, in the form that the file's suffix names, whole or not at all.

    Raises:
        OSError: it can't be written.
    """
    _, content = cv2.imencode(file.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    write_atomically(file, lambda stream: stream.write(content.tobytes()))
