"""Image files: found by a name that is nearly right, and opened as training does."""

from __future__ import annotations

import functools
import os
import sys
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import PIL.Image
from detectron2.data.detection_utils import read_image
from tqdm import tqdm

from detnas_d2.data.dataset import Image, Split
from detnas_d2.data.findings import RULES, Findings, Severity

_ORIENTATION = 0x0112  # EXIF tag
_QUIET = 200  # files below this are read without a progress line
_THUMBNAIL = (16, 16)  # pixels
_LONGEST = 100  # times the other side: resized for training, not a pixel may be left


def listed(folder: Path, suffix: str = "") -> Iterator[Path]:
    """What lies in a folder, but for the ._ files that macOS leaves in zips and on other disks."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if not path.name.startswith(".") and path.suffix.lower().startswith(suffix):
            yield path


def find_file(folder: Path, name: str) -> str | None:
    r"""A file's name as it is on the disk, relative to the folder; None: it is not there.

    Found, too, with `\` for `/`, in capitals or not, and with letters composed otherwise (ü of two
    characters, as macOS writes it), where that is one file only.
    """
    try:
        plain = folder / name
        if plain.name in _names(plain.parent, "is_file").get(_alike(plain.name), ()):
            return name
        found = ""
        *folders, file = name.replace("\\", "/").split("/")
        for part, kind in (*((part, "is_dir") for part in folders), (file, "is_file")):
            there = _names(folder / found, kind).get(_alike(part), ())
            if len(there) != 1:
                return None
            found = os.path.join(found, *there)
        return found
    except (OSError, ValueError):  # e.g. a name too long, or with a null byte
        return None


PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".jfif", ".ppm", ".tif", ".tiff", ".webp")
"""The suffixes of what counts as an image in a folder that no annotation speaks of."""


@functools.cache
def _readable() -> tuple[str, ...]:
    """The suffixes of images that the image library reads, in small letters."""
    suffixes = PIL.Image.registered_extensions()
    return tuple(suffix for suffix, form in suffixes.items() if form in PIL.Image.OPEN)


def find_image(folder: Path, stem: str) -> Path | None:
    """The image of that name with any readable suffix; None: there is none."""
    found = _images(folder).get(stem, ())
    usual = min(found, key=lambda name: (not name.endswith((".jpg", ".png")), name), default=None)
    return folder / usual if usual else None


@functools.cache
def _images(folder: Path) -> dict[str, set[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for path in listed(folder):
        if path.name.lower().endswith(_readable()):
            names[path.stem].add(path.name)
    return names


@functools.cache
def _names(folder: Path, kind: str) -> dict[str, set[str]]:
    """Names of its files or folders, by how they are alike: each folder is listed once."""
    names: dict[str, set[str]] = defaultdict(set)
    for entry in os.scandir(folder) if folder.is_dir() else ():
        if getattr(entry, kind)():
            names[_alike(entry.name)].add(entry.name)
    return names


def forget_folders() -> None:
    """Files may have come since the folders were listed."""
    _images.cache_clear()
    _names.cache_clear()


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def read_files(splits: Sequence[Split], findings: Findings, *, decode: bool) -> None:
    """Looks into each file, with all cores, and a progress line on standard error.

    Images that are missing, damaged, of another size, too long or too large are left out of the
    splits; names that are nearly right, and sizes that are missing, are mended.

    Args:
        decode: whole images; else only their headers.
    """
    for split in splits:
        find_images(split, findings)
    images = [(split, image) for split in splits for image in split.images]
    seconds = 0.5 if sys.stderr.isatty() else 10.0
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # PIL's, e.g. on odd EXIF data; training shows them
        seen = tqdm(
            pool.map(lambda item: _look_into(item[1], decode), images),
            f"{'decoding' if decode else 'opening'} images",
            len(images),
            leave=False,
            mininterval=seconds,
            maxinterval=seconds,
            disable=len(images) < _QUIET,
        )
        for split in splits:
            split.images = []
        for (split, image), found in zip(images, seen, strict=True):
            for code, what in found.items():
                findings.add(code, split.name, f"{image.file_name}: {what}")
            if all(RULES[code].severity is not Severity.LEFT_OUT for code in found):
                split.images.append(image)


def find_images(split: Split, findings: Findings) -> None:
    """Leaves out images whose files are not there; opens none."""
    given, split.images = split.images, []
    missing = []
    for image in given:
        name = find_file(split.image_folder, image.file_name)
        if name is None:
            missing.append(image.file_name)
            continue
        if name != image.file_name:
            findings.add("mended", split.name, f"{image.file_name} is {name} on the disk")
            image.file_name, image.path = name, split.image_folder / name
        split.images.append(image)
    if split.images:
        for name in missing:
            findings.add("image", split.name, f"{name} is missing")
    elif missing:
        place = f"none of {len(missing)} images, e.g. {missing[0]}, is in {split.image_folder}"
        findings.add("image-folder", split.name, f"{place} ({split.how})")


def _look_into(image: Image, decode: bool) -> dict[str, str]:
    """What is found in a file, by its code; fills in what the image lacks."""
    try:
        image.length = image.path.stat().st_size
        if not image.length:
            raise ValueError("the file is empty")
        size, orientation, mode = _read_header(image.path)
        if decode:
            pixels = read_image(str(image.path), "BGR")
            size = (pixels.shape[1], pixels.shape[0])
            grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
            image.thumbnail = cv2.resize(grey, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    except Exception as error:  # decoders raise of many kinds; each is a damaged image
        too_large = isinstance(error, PIL.Image.DecompressionBombError)
        text = " ".join(str(error).replace(str(image.path), image.path.name).split())
        return {"image-large" if too_large else "image": text}
    found, shown = {}, "x".join(map(str, size))
    turned = f"EXIF orientation {orientation}" if orientation in range(2, 9) else ""
    if not all(image.size):
        found["mended"] = f"its size, {shown}, taken from the file"
        image.size = size
    if max(size) > _LONGEST * min(size):
        found["image-large"] = shown
    elif image.size != size:
        given = "x".join(map(str, image.size))
        found["image-size"] = f"{given} in the annotation, {shown} in the file {turned}".rstrip()
    else:
        found |= {"image-turned": turned} if turned else {}
        found |= {"image-deep": f"PIL's mode {mode}"} if mode.startswith(("I", "F")) else {}
    return found


def _read_header(path: Path) -> tuple[tuple[int, int], int, str]:
    """Size after turning by EXIF, EXIF's orientation (1 is as stored), PIL's mode."""
    with PIL.Image.open(path) as image:
        try:
            orientation = image.getexif().get(_ORIENTATION, 1)
        except Exception:  # as in training, where EXIF data that can't be read does not count
            orientation = 1
        width, height = image.size
        is_on_side = orientation in (5, 6, 7, 8)
        return (height, width) if is_on_side else (width, height), orientation, image.mode
