"""The same image more than once: by path, by bytes, and, as a guess, by looks."""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from detnas_d2.data.dataset import Image, Split
from detnas_d2.data.findings import Findings
from detnas_d2.data.image_scan import ImageFile

_BITS = 3  # of 64 that may differ
_GREY_LEVELS = 4.0  # mean difference of two thumbnails that look alike
_CONTRAST = 8.0  # standard deviation of grey levels below which a picture has no looks


def byte_groups(files: dict[Path, ImageFile]) -> dict[Path, str]:
    """The hash of the bytes, of the files that have the length of another file."""
    lengths: dict[int, set[Path]] = defaultdict(set)
    for path, file in files.items():
        lengths[file.length].add(path)
    hashes = {}
    for same in lengths.values():
        if len(same) > 1:
            for path in same:
                with contextlib.suppress(OSError):  # it is among the damaged ones then
                    hashes[path] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes


def check_duplicates(
    splits: Iterable[Split],
    files: dict[Path, ImageFile],
    hashes: dict[Path, str],
    findings: Findings,
) -> None:
    """Each image against all before it; the first kind that applies is reported.

    Copies within a split are no finding: --split keeps them together.
    """
    by_path: dict[Path, tuple[Split, Image]] = {}
    by_hash: dict[str, tuple[Split, Image]] = {}
    singles = []
    for split in splits:
        for image in split.images:
            path, digest = image.path.resolve(), hashes.get(image.path)
            other = by_path.get(path) or by_hash.get(digest or "")
            if other is None:
                singles.append((split, image))
            elif other[0] is not split:
                _report(findings, "leak", (split, image), other)
            elif path in by_path:
                findings.add("image-twice", split.name, image.file_name)
            by_path.setdefault(path, (split, image))
            if digest is not None:
                by_hash.setdefault(digest, (split, image))
    seen = [(s, i) for s, i in singles if (t := files[i.path].thumbnail) is not None if _varied(t)]
    if not seen:
        return
    thumbnails = np.stack([files[image.path].thumbnail for _, image in seen])  # type: ignore[misc]
    for later, earlier in similar_pairs(thumbnails):
        if seen[earlier][0] is not seen[later][0]:
            _report(findings, "similar", seen[later], seen[earlier])


def _report(
    findings: Findings, code: str, found: tuple[Split, Image], other: tuple[Split, Image]
) -> None:
    (split, image), (other_split, other_image) = found, other
    place = f"{image.file_name} = {other_image.file_name} in {other_split.name}"
    findings.add(code, split.name, place)


def _varied(thumbnail: np.ndarray) -> bool:
    return float(thumbnail.std()) >= _CONTRAST


def similar_pairs(thumbnails: np.ndarray) -> list[tuple[int, int]]:
    """For each picture the first earlier one that looks like it.

    A difference hash of 64 bits (is a cell brighter than the one left of it, on 8 x 9 cells)
    finds candidates; the thumbnails themselves confirm them. All pairs of 100,000 pictures take
    some ten seconds, a fraction of what decoding them does.

    Args:
        thumbnails: (N, 16, 16) uint8.

    Returns:
        (later, earlier), in ascending order.
    """
    hashes = np.array([_difference_hash(t) for t in thumbnails], dtype=np.uint64)
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    pairs = []
    for later in range(1, len(hashes)):
        near = np.flatnonzero(np.bitwise_count(hashes[:later] ^ hashes[later]) <= _BITS)
        alike = near[np.abs(flat[near] - flat[later]).mean(axis=1) <= _GREY_LEVELS]
        if len(alike):
            pairs.append((later, int(alike[0])))
    return pairs


def _difference_hash(thumbnail: np.ndarray) -> int:
    cells = cv2.resize(thumbnail, (9, 8), interpolation=cv2.INTER_AREA)
    bits = np.packbits(cells[:, 1:] > cells[:, :-1])
    return int.from_bytes(bits.tobytes(), "big")
