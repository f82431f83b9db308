"""A tiny data set in both forms, and what training makes of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from detectron2.data import DatasetCatalog, DatasetMapper, get_detection_dataset_dicts
from detectron2.structures import Boxes, BoxMode, Instances

from detnas_d2.data import register_coco, unregister_dataset
from detnas_d2.evaluation import FastCOCOEvaluator

WIDTH, HEIGHT = 64, 48
_numbers = itertools.count()
_mapper = DatasetMapper(is_train=True, augmentations=[], image_format="BGR")


def write_picture(file: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).resize((WIDTH, HEIGHT)).save(file)


def make_coco(folder: Path, images: int = 4) -> Path:
    """train.json and photos/{0,1,...}.jpg; each image with a cell, each second one with a dot."""
    (folder / "photos").mkdir(parents=True)
    content = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "dot"}],
    }
    for i in range(images):
        name = f"{i}.jpg"
        write_picture(folder / "photos" / name, i)
        content["images"].append({"id": i, "file_name": name, "width": WIDTH, "height": HEIGHT})
        for category in (1, 2)[: 1 + i % 2]:
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": i,
                    "category_id": category,
                    "bbox": [4.0, 5.0, 20.0, 10.0 * category],
                    "area": 200.0 * category,
                    "iscrowd": 0,
                }
            )
    file = folder / "train.json"
    file.write_text(json.dumps(content))
    return file


def make_voc(folder: Path, sets: dict[str, list[str]]) -> Path:
    """Image sets of images with one cell each."""
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    for name, ids in sets.items():
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_text("".join(f"{i}\n" for i in ids))
    for i, image_id in enumerate(sorted({i for ids in sets.values() for i in ids})):
        write_picture(folder / "JPEGImages" / f"{image_id}.jpg", i)
        (folder / "Annotations" / f"{image_id}.xml").write_text(VOC_XML)
    return folder


VOC_XML = f"""<annotation>
 <size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>
 <object><name>cell</name><pose>Left</pose><truncated>0</truncated><difficult>0</difficult>
  <bndbox><xmin>5</xmin><ymin>6</ymin><xmax>24</xmax><ymax>15</ymax></bndbox>
 </object>
</annotation>
"""


def boxes_of(file: Path) -> list[tuple[Any, ...]]:
    """(file name, class name, x, y, width, height, area) of every annotation of a COCO file."""
    content = json.loads(file.read_text(encoding="utf-8"))
    names = {c["id"]: c["name"] for c in content["categories"]}
    files = {i["id"]: Path(i["file_name"]).name for i in content["images"]}
    return sorted(
        (files[a["image_id"]], names[a["category_id"]], *a["bbox"], a["area"])
        for a in content["annotations"]
    )


def refusal(file: Path, images: Path) -> Exception | None:
    """What training on a COCO file, and then its evaluation, stop on."""
    name = f"checked_{next(_numbers)}"
    register_coco(name, file, images)
    try:
        for record in get_detection_dataset_dicts(name):
            _mapper(record)
        FastCOCOEvaluator(name)
    except Exception as error:
        return error
    finally:
        unregister_dataset(name)
    return None


def feed_truth(evaluator, name: str) -> dict[str, float]:
    """Scores the data set's own boxes."""
    evaluator.reset()
    for record in DatasetCatalog.get(name):
        found = record["annotations"]
        boxes = [BoxMode.convert(list(a["bbox"]), a["bbox_mode"], BoxMode.XYXY_ABS) for a in found]
        instances = Instances((record["height"], record["width"]))
        instances.pred_boxes = Boxes(torch.tensor(boxes).reshape(-1, 4))
        instances.pred_classes = torch.tensor([a["category_id"] for a in found])
        instances.scores = torch.linspace(1.0, 0.5, len(found))
        evaluator.process([record], [{"instances": instances}])
    return evaluator.evaluate()["bbox"]


def run_the_command_of(error: Exception, main: Callable, change: tuple[str, str]) -> None:
    """The command that an error's message names; `change`: old and new words in it."""
    (line,) = [line for line in str(error).splitlines() if "python -m" in line]
    assert change[0] in line
    main(line.partition("python -m ")[2].replace(*change).split()[1:])
