"""Real handwritten digits drawn over crops of real photographs; what the demo set is made of."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from detnas_d2.data.errors import DataError
from detnas_d2.data.seeding import derive_seed

SPLITS = ("train", "val", "test")
MAX_OVERLAP = 0.1  # the share of the smaller of two boxes that the other may cover
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, half-open

# scikit-learn's 1,797 digits come in 14 runs that each start 0, 1, ..., 9 and hold every digit
# about 13 times: by all appearance one writer's sheet each (writers are not recorded). Splits cut
# between runs, 8, 3 and 3 of them, so that they share no image and, as far as can be told, no
# writer.
_DIGITS = {"train": (0, 1029), "val": (1029, 1415), "test": (1415, 1797)}
# Columns of the two 427 x 640 photographs; splits share no pixel.
_COLUMNS = {"train": (0, 352), "val": (352, 496), "test": (496, 640)}
_CROP_SIDES = (72, 144)  # pixels of the photograph; the same range in every split
# Photographs are dimmed and strokes bright, so that minutes of training on a CPU are enough: with
# bright photographs and strokes of both kinds, a network was at chance after 300 iterations.
_DIMMED = 0.4
_INK = 0.35  # opacity from which a pixel of a stroke counts as ink
_TRIES = 50  # places tried for a digit before the image goes without it


class DigitScenes:
    """Draws images of one split; image ``i`` is a function of the arguments and i alone.

    Args:
        split: "train", "val" or "test"; they share neither digit images, nor runs of them, nor
            any part of the photographs.
        classes: the digits that appear.
        purpose: tells apart sets that are made with one seed.

    Raises:
        DataError: scikit-learn is not installed.
    """

    def __init__(self, split: str, classes: tuple[int, ...], seed: int, purpose: int) -> None:
        sklearn = _sklearn_datasets()
        data, part = sklearn.load_digits(), slice(*_DIGITS[split])
        images, labels = data.images[part], data.target[part]
        self._pools = {label: images[labels == label] for label in classes}
        photos = sklearn.load_sample_images().images
        self._photos = [photo[:, slice(*_COLUMNS[split])] for photo in photos]
        self._classes = classes
        self._key = (seed, purpose, SPLITS.index(split))

    def draw(
        self,
        index: int,
        size: int,
        digit_size: tuple[int, int],
        count: tuple[int, int],
        label: int | None = None,
    ) -> tuple[np.ndarray, list[tuple[int, Box]]]:
        """One square image.

        Args:
            size: its side, pixels.
            digit_size: range of the digits' height, pixels, ends included.
            count: range of the number of digits, ends included; fewer where they don't fit.
            label: the digit to draw, instead of a random one of the classes.

        Returns:
            (size, size, 3) RGB uint8, and the digits in it (at least one), each with its box,
            tight around its ink.
        """
        rng = np.random.default_rng(derive_seed(*self._key, index))
        canvas = self._background(rng, size)
        placed: list[tuple[int, Box]] = []
        for _ in range(int(rng.integers(count[0], count[1] + 1))):
            digit = int(rng.choice(self._classes)) if label is None else label
            pool = self._pools[digit]
            glyph = pool[int(rng.integers(len(pool)))]
            alpha = _opacity(glyph, int(rng.integers(digit_size[0], digit_size[1] + 1)))
            height, width = alpha.shape
            for _ in range(_TRIES):
                x = int(rng.integers(size - width + 1))
                y = int(rng.integers(size - height + 1))
                box = (x, y, x + width, y + height)
                if all(_overlap(box, other) <= MAX_OVERLAP for _, other in placed):
                    _paint(canvas, alpha, x, y, rng)
                    placed.append((digit, box))
                    break
        return canvas, placed

    def _background(self, rng: np.random.Generator, size: int) -> np.ndarray:
        photo = self._photos[int(rng.integers(len(self._photos)))]
        side = int(rng.integers(_CROP_SIDES[0], _CROP_SIDES[1] + 1))
        y = int(rng.integers(photo.shape[0] - side + 1))
        x = int(rng.integers(photo.shape[1] - side + 1))
        crop = photo[y : y + side, x : x + side]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        crop = cv2.resize(np.ascontiguousarray(crop), (size, size), interpolation=cv2.INTER_AREA)
        return np.rint(crop * _DIMMED).astype(np.uint8)


def _opacity(digit: np.ndarray, height: int) -> np.ndarray:
    """8 x 8 grey values of 0 to 16 -> opacity in [0, 1], cut tightly around the ink."""
    padded = np.pad(digit.astype(np.float32) / 16, 1)  # room for the interpolation's fringe
    side = round(height * padded.shape[0] / digit.shape[0])
    alpha = cv2.resize(padded, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    rows, columns = np.flatnonzero((alpha >= _INK).any(1)), np.flatnonzero((alpha >= _INK).any(0))
    # Strokes may end within the border rows; never higher than asked for.
    return alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][:height, :height]


def _paint(canvas: np.ndarray, alpha: np.ndarray, x: int, y: int, rng: np.random.Generator) -> None:
    """Blends a stroke of a random bright colour into the canvas."""
    height, width = alpha.shape
    ground = canvas[y : y + height, x : x + width].astype(np.float32)
    colour = rng.integers(192, 256, size=3).astype(np.float32)
    mixed = ground + (colour - ground) * alpha[..., None]
    canvas[y : y + height, x : x + width] = np.rint(mixed).astype(np.uint8)


def _overlap(a: Box, b: Box) -> float:
    """Intersection over the area of the smaller box."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    return width * height / min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))


def _sklearn_datasets() -> Any:
    try:
        import sklearn.datasets
    except ImportError as error:
        raise DataError(
            "The digits set is made of data that scikit-learn ships, which is not installed: "
            "pip install -e .[demo]"
        ) from error
    return sklearn.datasets
