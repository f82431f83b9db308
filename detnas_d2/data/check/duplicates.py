"""The same image more than once: by path, by bytes, and, as a guess, by looks."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

import cv2
import numpy as np

from detnas_d2.data.dataset import Image, Split
from detnas_d2.data.findings import Findings

_BITS = 3  # of 64 that may differ
_GREY_LEVELS = 4.0  # mean difference of two thumbnails that look alike
_CONTRAST = 8.0  # standard deviation of grey levels below which a picture has no looks


def find_copies(splits: Iterable[Split]) -> None:
    """Sets the hash of the bytes, of the files that have the length of another file."""
    lengths: dict[int, list[Image]] = defaultdict(list)
    for image in (image for split in splits for image in split.images):
        lengths[image.length].append(image)
    for same in lengths.values():
        for image in same if len(same) > 1 else ():
            image.digest = hashlib.sha256(image.path.read_bytes()).hexdigest()


def check_duplicates(splits: Iterable[Split], findings: Findings) -> None:
    """Each image against all before it; the first kind that applies is reported.

    Copies within a split are no finding: --split keeps them together.
    """
    before: dict[str, tuple[Split, Image]] = {}
    seen, thumbnails = [], []
    for split in splits:
        for image in split.images:
            other = before.setdefault(image.digest or str(image.path), (split, image))
            if other[0] is not split:
                findings.add("leak", split.name, _pair(image, other))
            elif other[1] is not image:
                if other[1].path == image.path:
                    findings.add(
                        "mended", split.name, f"{image.file_name}: named twice, taken as one"
                    )
            elif image.thumbnail is not None and image.thumbnail.std() >= _CONTRAST:
                seen.append(other)
                thumbnails.append(image.thumbnail)
    for later, earlier in _similar_pairs(thumbnails):
        split, image = seen[later]
        if seen[earlier][0] is not split:
            findings.add("similar", split.name, _pair(image, seen[earlier]))


def _pair(image: Image, other: tuple[Split, Image]) -> str:
    return f"{image.file_name} = {other[1].file_name} in {other[0].name}"


def _similar_pairs(thumbnails: list[np.ndarray]) -> Iterable[tuple[int, int]]:
    """(later, earlier): for each picture the first earlier one that looks like it.

    A difference hash of 64 bits (is a cell brighter than the one left of it, on 8 x 9 cells)
    finds candidates; the thumbnails themselves confirm them. All pairs of 100,000 pictures take
    some ten seconds, a fraction of what decoding them does.
    """
    hashes = np.array([_difference_hash(t) for t in thumbnails], dtype=np.uint64)
    flat = np.array([t.ravel() for t in thumbnails], np.float32)
    for later in range(1, len(hashes)):
        near = np.flatnonzero(np.bitwise_count(hashes[:later] ^ hashes[later]) <= _BITS)
        alike = near[np.abs(flat[near] - flat[later]).mean(axis=1) <= _GREY_LEVELS]
        if len(alike):
            yield later, int(alike[0])


def _difference_hash(thumbnail: np.ndarray) -> int:
    cells = cv2.resize(thumbnail, (9, 8), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes(), "big")
