"""Opens the image files as training does: missing, damaged, turned, of another size."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
from detectron2.data.detection_utils import read_image
from tqdm import tqdm

from detnas_d2.data.dataset import Image, Split
from detnas_d2.data.findings import Findings
from detnas_d2.data.image_files import find_file

_ORIENTATION = 0x0112  # EXIF tag
_QUIET = 200  # files below this are read without a progress line
_THUMBNAIL = 16  # pixels, both sides
_LONGEST = 100  # times the other side: resized for training, not a pixel may be left


@dataclass(slots=True)
class ImageFile:
    """What a file holds.

    Attributes:
        length: in bytes.
        size: (width, height) in pixels, after turning by EXIF.
        orientation: EXIF's, 1 to 8; 1 is as stored.
        mode: PIL's.
        problem: why it can't be decoded, or None.
        too_large: whether that is because of its number of pixels.
        thumbnail: (16, 16) uint8, grey; None where it was not decoded.
    """

    length: int
    size: tuple[int, int] = (0, 0)
    orientation: int = 1
    mode: str = ""
    problem: str | None = None
    too_large: bool = False
    thumbnail: np.ndarray | None = None


def read_files(
    splits: Sequence[Split], findings: Findings, *, decode: bool
) -> dict[Path, ImageFile]:
    """Looks into each file once, with all cores, and a progress line on standard error.

    Images that are missing, damaged, of another size, too long or too large are left out of the
    splits; names that are nearly right, and sizes that are missing, are mended.

    Args:
        decode: whole images; else only their headers.
    """
    for split in splits:
        _find(split, findings)
    paths = list(dict.fromkeys(image.path for split in splits for image in split.images))
    seconds = 0.5 if sys.stderr.isatty() else 10.0
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # PIL's, e.g. on odd EXIF data; training shows them
        found = tqdm(
            pool.map(lambda path: _read(path, decode), paths),
            f"{'decoding' if decode else 'opening'} images",
            len(paths),
            leave=False,
            mininterval=seconds,
            maxinterval=seconds,
            disable=len(paths) < _QUIET,
        )
        files = dict(zip(paths, found, strict=True))
    for split in splits:
        split.images = [i for i in split.images if _is_usable(i, files[i.path], split, findings)]
    return files


def _find(split: Split, findings: Findings) -> None:
    there = []
    for image in split.images:
        name = find_file(split.image_folder, image.file_name)
        if name is not None and name != image.file_name:
            findings.add("name", split.name, f"{image.file_name} is {name}")
            image.file_name, image.path = name, split.image_folder / name
        there.append(name is not None)
    if split.images and not any(there):
        findings.add(
            "image-folder",
            split.name,
            f"none of {len(there)} images, e.g. {split.images[0].file_name}, is in "
            f"{split.image_folder} ({split.how})",
        )
    else:
        for image, found in zip(split.images, there, strict=True):
            if not found:
                findings.add("image-missing", split.name, image.file_name)
    split.images = [image for image, found in zip(split.images, there, strict=True) if found]


def _read(path: Path, decode: bool) -> ImageFile:
    found = ImageFile(path.stat().st_size)
    try:
        _read_header(path, found)
        if decode:
            pixels = read_image(str(path), "BGR")
            found.size = (pixels.shape[1], pixels.shape[0])
            grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
            size = (_THUMBNAIL, _THUMBNAIL)
            found.thumbnail = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    except Exception as error:  # decoders raise of many kinds; each is a damaged image
        text = " ".join(str(error).replace(str(path), path.name).split())
        found.problem = text if found.length else "the file is empty"
        found.too_large = isinstance(error, PIL.Image.DecompressionBombError)
    return found


def _read_header(path: Path, found: ImageFile) -> None:
    with PIL.Image.open(path) as image:
        found.size, found.mode = image.size, image.mode
        try:
            found.orientation = image.getexif().get(_ORIENTATION, 1)
        except Exception:  # as in training, where EXIF data that can't be read does not count
            return
    if found.orientation in (5, 6, 7, 8):
        found.size = found.size[::-1]


def _is_usable(image: Image, file: ImageFile, split: Split, findings: Findings) -> bool:
    name, size = image.file_name, "x".join(map(str, file.size))
    turned = f"{name}: EXIF orientation {file.orientation}"
    if file.problem is not None:
        code = "image-large" if file.too_large else "image-damaged"
        findings.add(code, split.name, f"{name}: {file.problem}")
        return False
    if not all(image.size):
        findings.add("size", split.name, f"{name}: {size}")
        image.size = file.size
    if max(file.size) > _LONGEST * min(file.size):
        findings.add("image-long", split.name, f"{name}: {size}")
        return False
    if image.size != file.size:
        given = "x".join(map(str, image.size))
        why = f" ({turned})" if file.orientation in range(2, 9) else ""
        place = f"{name}: {given} in the annotation, {size} in the file{why}"
        findings.add("image-size", split.name, place)
        return False
    if file.orientation in range(2, 9):
        findings.add("image-turned", split.name, turned)
    if file.mode.startswith(("I", "F")):
        findings.add("image-deep", split.name, f"{name}: PIL's mode {file.mode}")
    return True
