"""Detections drawn into an image."""

from __future__ import annotations

import numpy as np
import pytest

from detnas_d2.data.drawing import COLOURS, draw_boxes


def blue_and_orange(picture: np.ndarray) -> tuple[int, int]:
    """How many pixels are of the first two colours, darkened or not."""
    assert COLOURS[:2] == ("#56b4e9", "#e69f00")
    red_over_blue = picture[..., 0].astype(int) - picture[..., 2]
    return int((red_over_blue < -30).sum()), int((red_over_blue > 30).sum())


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_class_has_its_colour(scale):
    image = np.zeros((120, 160, 3), np.uint8)
    boxes = np.array([[10, 40, 60, 100], [90, 40, 150, 100]], np.float32)
    pictures = [
        draw_boxes(image, boxes, classes, (0.9, 0.6), "abc".__getitem__, scale)
        for classes in ((0, 0), (0, 1), (1, 1))
    ]
    assert all(p.shape == (120 * scale, 160 * scale, 3) for p in pictures)
    blue, orange = zip(*map(blue_and_orange, pictures), strict=True)
    assert blue[0] > blue[1] > blue[2] == 0 and 0 == orange[0] < orange[1] < orange[2]
