"""The images of a search as a few large arrays, which processes of a machine can share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..evaluation import SearchImages

CHUNK = 64 * 2**20
"""Bytes of an array; an image that is larger has one to itself."""
_ALIGNMENT = 64


@dataclass(frozen=True)
class _Stored:
    """Where an image lies."""

    chunk: int
    start: int
    dtype: str
    shape: tuple[int, ...]


def pack_images(images: SearchImages) -> tuple[SearchImages, Iterator[np.ndarray]]:
    """The images without their pixels, and the arrays of bytes that hold these, made one by one.

    What else a mapped image has (boxes, sizes) stays where it is.
    """
    sizes: list[int] = []
    places: dict[int, _Stored] = {}
    for image in _each(images):
        pixels = image["image"].numpy()
        if not sizes or sizes[-1] + pixels.nbytes > CHUNK:
            sizes.append(0)
        places[id(image)] = _Stored(len(sizes) - 1, sizes[-1], pixels.dtype.str, pixels.shape)
        sizes[-1] += -(-pixels.nbytes // _ALIGNMENT) * _ALIGNMENT

    def chunks() -> Iterator[np.ndarray]:
        chunk = np.empty(0, np.uint8)
        number = -1
        for image in _each(images):
            place = places[id(image)]
            if place.chunk > number:
                if number >= 0:
                    yield chunk
                number = place.chunk
                chunk = np.empty(sizes[number], np.uint8)
            _view(chunk, place)[...] = image["image"].numpy()
        if number >= 0:
            yield chunk

    return _replaced(images, lambda image: places[id(image)]), chunks()


def unpack_images(packed: SearchImages, chunks: Sequence[np.ndarray]) -> SearchImages:
    """The images on the memory of the arrays, which may be read-only: nothing may write to them.

    That memory is shared by all workers of a machine, and not page-locked: each would need a copy.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return _replaced(
            packed,
            lambda image: torch.from_numpy(_view(chunks[image["image"].chunk], image["image"])),
        )


def _each(images: SearchImages) -> Iterator[dict[str, Any]]:
    for batch in (*images.calibration, *images.validation):
        yield from batch


def _replaced(images: SearchImages, new: Any) -> SearchImages:
    def replace(batches: Sequence[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
        return [[{**image, "image": new(image)} for image in batch] for batch in batches]

    return SearchImages(replace(images.calibration), replace(images.validation), images.positions)


def _view(chunk: np.ndarray, place: _Stored) -> np.ndarray:
    count = int(np.prod(place.shape, dtype=np.int64))
    return np.frombuffer(chunk, place.dtype, count, place.start).reshape(place.shape)
