"""Detections in images: python -m detnas_d2.predict OUTPUT IMAGES... --output FOLDER.

Writes to FOLDER each image with its boxes drawn, under its own name, and `detections.json`: a list
as COCO's results files are, one object a detection,

    {"image_id": 1, "category_id": 2, "bbox": [x, y, width, height], "score": 0.93,
     "file_name": "street.jpg", "category_name": "car"}

with the box in pixels of the image. `image_id` counts the images from 1 on in the order in which
they were given, those of a folder by name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from glob import glob
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch
from detectron2.data.detection_utils import read_image
from detectron2.structures import BoxMode
from PIL import Image
from tqdm import tqdm

from .commands import command, new_parser
from .data.drawing import draw_boxes, write_picture
from .data.image_files import PHOTOGRAPHS
from .engine.machines import check_device
from .errors import DetNASError
from .export import Trained, load_trained
from .export.trained import add_arguments
from .files import parse_json, write_atomically

PROGRAM = "python -m detnas_d2.predict"
PREDICTIONS_FILE = "detections.json"
KEYS = ("image_id", "category_id", "bbox", "score", "file_name", "category_name")
SMALL = 500  # pixels; pictures of smaller images are drawn twice as large, to read the labels
# what Pillow and Detectron2 raise for files that are no images, or not whole
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


class PredictError(DetNASError):
    """Images that can't be predicted on."""


@command(PROGRAM, interrupted="stopped; the pictures that are drawn stay.")
def main(argv: Sequence[str]) -> None:
    parser = new_parser(__doc__, PROGRAM)
    add_arguments(parser)
    parser.add_argument("images", metavar="IMAGES", nargs="+", help="files, folders or globs")
    parser.add_argument("--output", required=True, dest="folder", metavar="FOLDER")
    parser.add_argument(
        "--threshold", type=float, default=0.5, help="least score of a detection (default: 0.5)"
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=device, help="cuda or cpu (default: a GPU if any)")
    args = parser.parse_args(argv)
    check_device(args.device)
    if not 0 <= args.threshold <= 1:
        raise PredictError(f"--threshold is {args.threshold:g}; expected a number from 0 to 1.")
    folder = Path(args.folder)
    files = find_images(args.images, folder)
    pictures = name_pictures(files, folder)
    trained = load_trained(args.output, args.weights, trust=args.trust)
    trained.model.to(args.device)
    print(f"read {trained.weights}", file=sys.stderr)
    if not trained.categories:
        print("it names no classes, so they are called by their numbers", file=sys.stderr)
    detections, damaged = predict(trained, files, pictures, args.threshold)
    print(
        f"{len(files) - len(damaged)} images, {len(detections)} detections with a score of at "
        f"least {args.threshold:g}: {folder / PREDICTIONS_FILE} and pictures beside it"
    )
    if damaged:
        raise PredictError(
            f"{len(damaged)} of {len(files)} images could not be read and were left out:\n"
            + "\n".join(f"  {file}: {error}" for file, error in damaged.items())
            + "\nMend or remove them; all others are done."
        )


def find_images(arguments: Sequence[str], folder: Path) -> list[Path]:
    """The images that files, folders (with the folders in them) and globs name, each once.

    Args:
        folder: where pictures are written; images in it are no input.

    Raises:
        PredictError: an argument that names no image.
    """
    found: dict[Path, Path] = {}
    for argument in arguments:
        path = Path(argument)
        if path.is_file():
            files = [path]
        elif path.is_dir():
            inside = folder.resolve() if path.resolve() in folder.resolve().parents else None
            images = (p for p in path.rglob("*") if p.suffix.lower() in PHOTOGRAPHS and p.is_file())
            files = sorted(p for p in images if inside not in p.resolve().parents)
        else:
            files = sorted(p for p in map(Path, glob(argument, recursive=True)) if p.is_file())
        if not files:
            what = "has no images" if path.is_dir() else "does not exist"
            raise PredictError(
                f"{argument!r} {what}; expected image files, folders of them "
                f"({', '.join(PHOTOGRAPHS)}) or a glob in quotes such as 'photos/*.jpg'"
            )
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def name_pictures(files: Sequence[Path], folder: Path) -> list[Path]:
    """Where the picture of each image is written: its own name in the folder, made unique.

    Raises:
        PredictError: one would take the place of an image, or of a file that no earlier prediction
            has written, as the form of its ``detections.json`` shows.
    """
    pictures: dict[Path, None] = {}
    for file in files:
        suffix = file.suffix if file.suffix.lower() in (".jpg", ".jpeg", ".png") else ".png"
        endings = chain([suffix], (f"_{number}{suffix}" for number in count(2)))
        paths = (folder / f"{file.stem}{ending}" for ending in endings)
        pictures[next(path for path in paths if path not in pictures)] = None
    record = folder / PREDICTIONS_FILE
    try:
        content = parse_json(record.read_text(encoding="utf-8"))
        is_ours = isinstance(content, list) and all(tuple(entry) == KEYS for entry in content)
    except (OSError, ValueError, TypeError):
        is_ours = False
    images = {file.resolve() for file in files}
    for path in (record, *pictures):
        if path.resolve() in images or (path.exists() and not is_ours):
            raise PredictError(
                f"--output {str(folder)!r} holds {path.name}, which would be overwritten and is of "
                "no earlier prediction that has ended; choose another folder"
            )
    return [*pictures]


def predict(
    trained: Trained, files: Sequence[Path], pictures: Sequence[Path], threshold: float
) -> tuple[list[dict[str, Any]], dict[Path, str]]:
    """Detect, draw, and write ``detections.json`` beside the pictures.

    Returns:
        the detections as that file holds them, and the files that could not be read, each with why.

    Raises:
        PredictError: the model is no detector.
        OSError: a file can't be written.
    """
    detections: list[dict[str, Any]] = []
    damaged: dict[Path, str] = {}
    written = False
    named = dict(enumerate(trained.categories))
    jobs = zip(files, pictures, strict=True)
    seconds = 0.5 if sys.stderr.isatty() else 10.0  # between lines
    bar = tqdm(jobs, total=len(files), unit="image", mininterval=seconds, maxinterval=seconds)
    try:
        for number, (file, picture) in enumerate(bar, 1):
            try:
                image = read_image(str(file), format="RGB")
                record = trained.mapper({"file_name": str(file)})
            except UNREADABLE as e:
                damaged[file] = " ".join(str(e).split()) or type(e).__name__
                tqdm.write(f"left out: {file}: {damaged[file]}", file=sys.stderr)
                continue
            with torch.no_grad():
                output = trained.model([record])[0]
            if not isinstance(output, Mapping) or "instances" not in output:
                raise PredictError(
                    f"{trained.weights} is of a {type(trained.model).__name__}, which detects "
                    "nothing; give the folder of a detector (step4_detection)"
                )
            found = output["instances"].to("cpu")
            found = found[found.scores >= threshold]
            boxes, scores = found.pred_boxes.tensor, found.scores.tolist()
            classes = found.pred_classes.tolist()
            # a number where a class has no name
            names = {c: named.get(c) or {"id": c + 1, "name": f"class {c + 1}"} for c in classes}
            drawn = draw_boxes(
                *(image, boxes.numpy(), classes, scores, lambda c, names=names: names[c]["name"]),
                scale=2.0 if max(image.shape[:2]) < SMALL else 1.0,
            )
            write_picture(picture, drawn)
            written = True
            boxes = BoxMode.convert(boxes, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)
            for box, score, c in zip(boxes.tolist(), scores, classes, strict=True):
                values = (number, names[c]["id"], box, score, str(file), names[c]["name"])
                detections.append(dict(zip(KEYS, values, strict=True)))
    except BaseException:  # Ctrl-C, no memory left, a full disk
        if written:
            with suppress(OSError):
                _write(detections, pictures)  # so that the next run takes the folder for its own
        raise
    _write(detections, pictures)
    return detections, damaged


def _write(detections: Sequence[Mapping[str, Any]], pictures: Sequence[Path]) -> None:
    lines = ",\n ".join(json.dumps(d) for d in detections)
    write_atomically(pictures[0].parent / PREDICTIONS_FILE, f"[{lines}]\n")


if __name__ == "__main__":
    main()
