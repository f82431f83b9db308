"""Opens the image files as training does: missing, damaged, turned, of another size."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
from detectron2.data.detection_utils import read_image
from tqdm import tqdm

from .dataset import Image, Split
from .findings import Findings

_ORIENTATION = 0x0112  # EXIF tag
_QUIET = 200  # files below this are read without a progress line
THUMBNAIL = 16  # pixels, both sides


@dataclass(slots=True)
class ImageFile:
    """What a file holds.

    Attributes:
        length: in bytes.
        size: (width, height) in pixels, after turning by EXIF.
        stored_size: the same before.
        orientation: EXIF's, 1 to 8; 1 is as stored.
        mode: PIL's.
        problem: why it can't be decoded, or None.
        thumbnail: (16, 16) uint8, grey; None where it was not decoded.
    """

    exists: bool
    length: int = 0
    size: tuple[int, int] | None = None
    stored_size: tuple[int, int] | None = None
    orientation: int = 1
    mode: str = ""
    problem: str | None = None
    thumbnail: np.ndarray | None = None


def read_files(paths: Iterable[Path], *, decode: bool) -> dict[Path, ImageFile]:
    """Looks into each file once, with all cores, and a progress line on standard error.

    Args:
        decode: whole images; else only their headers.
    """
    paths = list(dict.fromkeys(paths))
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # PIL's, e.g. on odd EXIF data; training shows them
        found = pool.map(lambda path: _read(path, decode), paths)
        verb = "decoding" if decode else "opening"
        return dict(zip(paths, progress(found, len(paths), f"{verb} images"), strict=True))


def progress(items: Iterable[ImageFile], total: int, what: str) -> Iterator[ImageFile]:
    """Done, speed and time left on standard error; every 10 s where that is no terminal."""
    seconds = 0.5 if sys.stderr.isatty() else 10.0
    quiet = total < _QUIET
    bar = tqdm(
        items, what, total, leave=False, mininterval=seconds, maxinterval=seconds, disable=quiet
    )
    yield from bar


def _read(path: Path, decode: bool) -> ImageFile:
    try:
        if not path.is_file():
            return ImageFile(exists=False)
        found = ImageFile(exists=True, length=path.stat().st_size)
    except (OSError, ValueError):  # e.g. a name too long, or with a null byte
        return ImageFile(exists=False)
    try:
        _read_header(path, found)
        if decode:
            pixels = read_image(str(path), "BGR")
            found.size = (pixels.shape[1], pixels.shape[0])
            grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
            found.thumbnail = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    except Exception as error:  # decoders raise of many kinds; each is a damaged image
        text = " ".join(str(error).replace(str(path), path.name).split())
        found.problem = text if found.length else "the file is empty"
    return found


def _read_header(path: Path, found: ImageFile) -> None:
    with PIL.Image.open(path) as image:
        found.stored_size = found.size = image.size
        found.mode = image.mode
        try:
            found.orientation = image.getexif().get(_ORIENTATION, 1)
        except Exception:  # as in training, where EXIF data that can't be read does not count
            return
    if found.orientation in (5, 6, 7, 8):
        found.size = found.size[::-1]


def check_images(split: Split, files: dict[Path, ImageFile], findings: Findings) -> None:
    """Compares a split's images with their files; what is unusable is marked."""
    named = [image for image in split.images if image.file_name]
    if named and not any(files[image.path].exists for image in named):
        place = (
            f"none of {len(named)} images, e.g. {named[0].file_name}, is in {split.image_folder}"
        )
        findings.add("image-folder", split.name, f"{place} ({split.how})")
        for image in named:
            image.damage = image.damage or "image-folder"
        return
    for image in named:
        _check(image, files[image.path], split.name, findings)


def _check(image: Image, file: ImageFile, split: str, findings: Findings) -> None:
    name = image.file_name
    if not file.exists:
        findings.add("image-missing", split, name)
        image.damage = image.damage or "image-missing"
        return
    if file.problem is not None:
        findings.add("image-damaged", split, f"{name}: {file.problem}")
        image.damage = image.damage or "image-damaged"
        return
    assert file.size is not None and file.stored_size is not None
    turned = file.orientation in range(2, 9)
    if image.size is not None and image.size != file.size:
        place = f"{name}: {_by(image.size)} in the annotation, {_by(file.size)} in the file"
        if image.size == file.size[::-1]:
            place += ", width and height exchanged"
        if file.size != file.stored_size:
            place += f" (the file is turned by its EXIF orientation {file.orientation})"
        findings.add("image-size", split, place)
        image.damage = image.damage or "image-size"
    elif turned:
        findings.add("image-turned", split, f"{name}: orientation {file.orientation}")
    if file.mode.startswith(("I", "F")):
        findings.add("image-deep", split, f"{name}: PIL's mode {file.mode}")


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
