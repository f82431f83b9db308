"""Data sets in Pascal VOC's folder form with classes of one's own."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectron2.data.datasets.pascal_voc import CLASS_NAMES
from detectron2.structures import BoxMode

from detnas_d2.data.annotations import drop_damaged_boxes
from detnas_d2.data.catalog import datasets_root, first_of, register_dataset, voc_requirements
from detnas_d2.data.categories import names_of_text
from detnas_d2.data.errors import DataError

VOC_PARTS = ("supernet", "search")
"""The image sets of trainval 07 + 12 that `python -m detnas_d2.data.voc_splits` writes."""

_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


def load_voc_folder(
    dirname: str | Path, split: str, class_names: Sequence[str]
) -> list[dict[str, Any]]:
    """Reads Annotations/, ImageSets/Main/<split>.txt and JPEGImages/ into Detectron2's form.

    Beyond Detectron2's ``load_voc_instances``: images may be PNG, a split may hold one image, and
    what is wrong in a file is said with its name. Boxes come out as that function gives them:
    XYXY_ABS, VOC's 1-based inclusive [xmin, xmax] becoming [xmin - 1, xmax).

    Objects marked difficult are loaded and trained on, as by that function (the authors' code
    trains without them). Detectron2's evaluator takes them out of the figure: they are no ground
    truth to be found, and a detection on one is neither right nor wrong.

    Raises:
        DataError: a damaged or missing XML file, an image that is missing, an unknown class.
    """
    dirname = Path(dirname)
    class_ids = {class_name: i for i, class_name in enumerate(class_names)}
    return [_read_record(dirname, image_id, class_ids) for image_id in image_ids(dirname, split)]


def image_ids(dirname: str | Path, split: str) -> list[str]:
    """The ids that ImageSets/Main/<split>.txt names, in its order.

    Raises:
        DataError: the file is missing, empty, or holds more than one column.
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
    for image_id in ids:
        if len(image_id.split()) > 1:
            # Detectron2's evaluator separates its columns by blanks, and takes whole lines.
            raise DataError(
                f"{split_file} has to hold one image id without blanks a line, got {image_id!r}."
            )
    if not ids:
        raise DataError(f"{split_file} names no image. Write the image ids into it, one a line.")
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise DataError(f"{split_file} names image {twice} twice; delete one of the lines.")
    return ids


def _read_record(dirname: Path, image_id: str, class_ids: dict[str, int]) -> dict[str, Any]:
    xml_file = dirname / "Annotations" / f"{image_id}.xml"
    try:
        root = ET.parse(xml_file).getroot()
        annotations = []
        for item in root.findall("object"):
            name = item.findtext("name", "")
            if name not in class_ids:
                raise DataError(
                    f"{xml_file} has an object of class {name!r}; the classes are "
                    f"{', '.join(class_ids)}. Mend its <name>, or register the class."
                )
            xmin, ymin, xmax, ymax = (
                float(_text(item, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")
            )
            annotations.append(
                {
                    "category_id": class_ids[name],
                    "bbox": [xmin - 1, ymin - 1, xmax, ymax],
                    "bbox_mode": BoxMode.XYXY_ABS,
                }
            )
        width, height = (int(_text(root, f"size/{side}")) for side in ("width", "height"))
        if min(width, height) < 1:
            raise ValueError(f"its size is {width} x {height}")
        return {
            "file_name": str(image_file(dirname, image_id)),
            "image_id": image_id,
            "height": height,
            "width": width,
            "annotations": annotations,
        }
    except DataError:
        raise
    except (OSError, ValueError, ET.ParseError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"Cannot read the annotation file {xml_file} ({what}). Mend it, or take {image_id} out "
            "of the image set."
        ) from error


def _text(element: ET.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"<{element.tag}> has no {path}")
    return text


def image_file(dirname: Path, image_id: str) -> Path:
    """JPEGImages/<image_id> with the suffix that it has there.

    Raises:
        DataError: there is none.
    """
    for suffix in _SUFFIXES:
        path = dirname / "JPEGImages" / f"{image_id}{suffix}"
        if path.exists():
            return path
    raise DataError(
        f"{dirname / 'JPEGImages'} has no image {image_id} ({', '.join(_SUFFIXES[:3])}), which "
        "its image set names."
    )


def register_voc_folder(
    name: str,
    dirname: str | Path,
    split: str,
    class_names: Sequence[str] | str,
    year: int = 2012,
    *,
    required: dict[Path, str] | None = None,
    is_default: bool = False,
) -> None:
    """Registers a folder in VOC's form for training and ``PascalVOCDetectionEvaluator``.

    Damaged boxes are reported once and left out of what is loaded; the evaluator reads the XML
    files itself.

    Args:
        class_names: in their order, a list or its text in JSON.
        year: selects the evaluator's metric, whatever the images are: 2007 is the average of 11
            precisions, 2012 the area under the curve.
        required: what has to exist, beyond the form's own folders.

    Raises:
        DataError: another year, or a name that is taken.
    """
    if year not in (2007, 2012):
        raise DataError(f"Detectron2's VOC evaluator knows the years 2007 and 2012, not {year}.")
    dirname, classes = Path(dirname), names_of_text(class_names)
    register_dataset(
        name,
        lambda: drop_damaged_boxes(load_voc_folder(dirname, split, classes), name),
        required=first_of(required or {}, voc_requirements(dirname, split)),
        is_default=is_default,
        evaluator_type="pascal_voc",
        thing_classes=classes,
        dirname=str(dirname),
        split=split,
        year=year,
    )


def register_voc_0712_splits(root: str | Path | None = None, *, is_default: bool = False) -> None:
    """Registers voc_0712_detnas_supernet and voc_0712_detnas_search, parts of trainval 07 + 12.

    The evaluator wants one folder and one year a data set: the command in the message of a
    missing folder mixes both years in one, and the metric is that of 2007, the one of the test
    set voc_2007_test, by which the paper's figures are.

    Args:
        root: the folder of VOC2007, VOC2012 and VOC0712; left out: $DETECTRON2_DATASETS.
    """
    root = datasets_root() if root is None else Path(root)
    mixed = root / "VOC0712"
    contents = (
        "trainval of VOC 2007 and 2012 in one folder; put VOC2007 and VOC2012 (of VOCtrainval_"
        "06-Nov-2007.tar and VOCtrainval_11-May-2012.tar, host.robots.ox.ac.uk/pascal/VOC) into "
        f"{root}, and make it with: python -m detnas_d2.data.voc_splits {root / 'VOC2007'} "
        f"{root / 'VOC2012'} --search-images 5000 --seed 0 --out {mixed}"
    )
    for part in VOC_PARTS:
        register_voc_folder(
            f"voc_0712_detnas_{part}",
            mixed,
            part,
            CLASS_NAMES,
            2007,
            required={mixed: contents, mixed / "ImageSets" / "Main" / f"{part}.txt": contents},
            is_default=is_default,
        )
