"""Data sets in Pascal VOC's folder form with classes of one's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detectron2.structures import BoxMode

from detnas_d2.data.catalog import register_dataset
from detnas_d2.data.categories import names_of_text
from detnas_d2.data.dataset import Box, Split, clean_records
from detnas_d2.data.errors import DataError
from detnas_d2.data.findings import Findings
from detnas_d2.data.image_files import forget_folders
from detnas_d2.data.voc_reader import read_voc


def load_voc_folder(
    dirname: str | Path, split: str, class_names: Sequence[str], name: str = ""
) -> list[dict[str, Any]]:
    """Reads Annotations/, ImageSets/Main/<split>.txt and JPEGImages/ into Detectron2's form.

    As Detectron2's ``load_voc_instances``, VOC's 1-based inclusive [xmin, xmax] becoming
    [xmin - 1, xmax), but with images of any suffix, and without damaged boxes, which are told once.

    Objects marked difficult are loaded and trained on, as by that function (the authors' code
    trains without them). Detectron2's evaluator takes them out of the figure: they are no ground
    truth to be found, and a detection on one is neither right nor wrong.

    Args:
        name: of the data set, for messages.

    Raises:
        DataError: a damaged or missing XML file, an image that is missing, an unknown class.
    """
    forget_folders()
    dirname, findings = Path(dirname), Findings()
    name = name or f"{dirname}, {split}"
    read = Split(name, "VOC", dirname, dirname / "JPEGImages", "VOC's form")
    read_voc(read, dirname / "Annotations", image_ids(dirname, split), findings)
    labels = {class_name: i for i, class_name in enumerate(class_names)}
    for image in read.images:
        for box in image.boxes:
            if box.class_name not in labels:
                place = f"{image.entry['id']}.xml has an object of class {box.class_name!r}"
                findings.add("box", name, f"{place}; they are {', '.join(class_names)}")
    return clean_records(read, findings, lambda box: _annotation(box, labels))


def _annotation(box: Box, labels: dict[str, int]) -> dict[str, Any]:
    x, y, width, height = box.entry["bbox"]
    corners = [x, y, x + width, y + height]
    label = labels[box.class_name]
    return {"category_id": label, "bbox": corners, "bbox_mode": BoxMode.XYXY_ABS}


def image_ids(dirname: str | Path, split: str) -> list[str]:
    """The ids that ImageSets/Main/<split>.txt names, in its order.

    Raises:
        DataError: the file is missing or empty, an id has blanks or is there twice.
    """
    split_file = Path(dirname) / "ImageSets" / "Main" / f"{split}.txt"
    try:
        lines = split_file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "not a text file"
        raise DataError(
            f"Cannot read the image set {split_file} ({what}). Expected the image ids, one a line."
        ) from error
    ids = [line.strip() for line in lines if line.strip()]
    # Detectron2's evaluator separates its columns by blanks, and takes whole lines
    wrong = [i for i, lines in Counter(ids).items() if lines > 1 or len(i.split()) > 1]
    if wrong or not ids:
        raise DataError(
            f"{split_file} names {repr(wrong[0]) if wrong else 'no image'}; expected the id of "
            "each image once, without blanks, one a line."
        )
    return ids


def register_voc_folder(
    name: str,
    dirname: str | Path,
    split: str,
    class_names: Sequence[str] | str,
    year: int = 2012,
    *,
    builtin: Mapping[Path, str] | None = None,
) -> None:
    """Registers a folder in VOC's form for training and ``PascalVOCDetectionEvaluator``.

    Damaged boxes are reported once and left out of what is loaded; the evaluator reads the XML
    files itself.

    Args:
        name: what ``dataset.names`` of a config says.
        dirname: the folder with JPEGImages, Annotations and ImageSets/Main.
        split: a file of ImageSets/Main, without ``.txt``.
        class_names: in their order, a list or its text in JSON.
        year: selects the evaluator's metric, whatever the images are: 2007 is the average of 11
            precisions, 2012 the area under the curve.
        builtin: see :func:`register_dataset`.

    Raises:
        DataError: another year, or a name that is taken.
    """
    if year not in (2007, 2012):
        raise DataError(f"Detectron2's VOC evaluator knows the years 2007 and 2012, not {year}.")
    dirname, classes = Path(dirname), names_of_text(class_names)
    register_dataset(
        name,
        lambda: load_voc_folder(dirname, split, classes, name),
        builtin,
        evaluator_type="pascal_voc",
        thing_classes=classes,
        dirname=str(dirname),
        split=split,
        year=year,
    )
