"""Boxes drawn into an image, a colour for each class."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from detectron2.utils.visualizer import Visualizer

# Okabe and Ito's, which the colour-blind can tell apart; light enough for labels on black
COLOURS = ("#56b4e9", "#e69f00", "#2fc79a", "#f0e442", "#cc79a7", "#ff7f4d", "#b3b3b3")


def draw_boxes(
    image: np.ndarray,
    boxes: np.ndarray,
    classes: Sequence[int],
    scores: Sequence[float],
    name: Callable[[int], str],
    scale: float = 1.0,
) -> np.ndarray:
    """Draw the boxes of N detections.

    Args:
        image: (H, W, 3), RGB, uint8.
        boxes: (N, 4), as (x0, y0, x1, y1) in pixels of the image.
        classes: numbers from 0; colours repeat after seven.
        scores: from 0 to 1.
        name: of a class.
        scale: of the drawn image to `image`.

    Returns:
        (scale * H, scale * W, 3), RGB, uint8.
    """
    canvas = Visualizer(image, scale=scale)
    drawn = canvas.overlay_instances(
        boxes=boxes,
        labels=[f"{name(c)} {score:.0%}" for c, score in zip(classes, scores, strict=True)],
        assigned_colors=[COLOURS[c % len(COLOURS)] for c in classes],
    )
    picture: np.ndarray = drawn.get_image()
    return picture
