"""COCO's box AP as Detectron2's COCOEvaluator gives it, by a fast library and out of arrays."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets import convert_to_coco_json
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import BoxMode
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager

from ..engine import ConfigError
from ..files import write_atomically

RESULTS_FILE = "coco_instances_results.json"
_AREAS = {"AP": 0, "APs": 1, "APm": 2, "APl": 3}
_IOUS = {"AP50": 0, "AP75": 5}
_METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
_COLUMNS = 7  # position of the image, x, y, width, height, score, class
_MISS = np.array([[0.0, -2.0, -2.0, 1.0, 1.0, 0.0, 0.0]])  # outside of the first image

logger = logging.getLogger(__name__)


class FastCOCOEvaluator(DatasetEvaluator):
    """Box AP of a data set in COCO's form, equal to Detectron2's ``COCOEvaluator``.

    The ground truth is read and indexed once, and detections are rows of an array. Masks and
    keypoints of a model are left aside. Two things are otherwise: nothing detected is an AP of 0,
    while Detectron2 gives NaN; and an annotation whose id is 0 counts like any other, while
    pycocotools takes what detects it for a false positive.

    Args:
        dataset_name: with ``json_file`` in its metadata, or in Detectron2's own form.
        output_dir: where ``coco_instances_results.json`` is written, in COCO's format.
        distributed: gather the detections of all processes on the first one.
    """

    def __init__(
        self, dataset_name: str, *, output_dir: str | None = None, distributed: bool = True
    ) -> None:
        self._name = dataset_name
        self._output_dir = output_dir
        self._distributed = distributed
        self._truth = _GroundTruth(_read_annotations(dataset_name))
        self.reset()

    def reset(self) -> None:
        self._images = 0
        self._rows: list[np.ndarray] = []

    def process(self, inputs: Iterable[Any], outputs: Iterable[Any]) -> None:
        """
        Args:
            inputs: dicts with ``image_id``.
            outputs: dicts with ``instances``: ``pred_boxes`` (x0, y0, x1, y1 in pixels of the
                original image), ``scores`` and ``pred_classes``.

        Raises:
            ConfigError: an image that is not in the data set.
        """
        for image, output in zip(inputs, outputs, strict=True):
            if "instances" not in output:
                continue
            self._images += 1
            found = output["instances"]
            if len(found):
                boxes = found.pred_boxes.tensor
                boxes = BoxMode.convert(boxes, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)
                rows = np.empty((len(found), _COLUMNS))
                rows[:, 0] = self._position(image["image_id"])
                rows[:, 1:5] = _array(boxes)
                rows[:, 5] = _array(found.scores)
                rows[:, 6] = _array(found.pred_classes)
                self._rows.append(rows)

    def evaluate(self) -> dict[str, dict[str, float]]:
        """
        Returns:
            ``{"bbox": {"AP": ..., "AP50": ..., "AP-<class>": ...}}`` in percent, NaN where there is
            nothing to detect, 0 where nothing was detected. Empty where no output had
            ``instances``, without annotations, and on all processes but the first.

        Raises:
            ConfigError: a class that the data set does not have, or class names that do not fit it.
            FloatingPointError: a detection with NaN or infinity.
        """
        rows = np.concatenate(self._rows) if self._rows else np.empty((0, _COLUMNS))
        images = self._images
        if self._distributed:
            shares = comm.gather((images, rows), dst=0)
            if not comm.is_main_process():
                return {}
            images = sum(n for n, _ in shares)
            rows = np.concatenate([part for _, part in shares])
        if images == 0:
            logger.warning("No output of the model has 'instances': there is nothing to evaluate.")
            return {}
        if not np.isfinite(rows).all():
            raise FloatingPointError(
                f"{int((~np.isfinite(rows)).any(1).sum())} of {len(rows)} detections have NaN or "
                "infinity in box or score; expected finite numbers. Has the training diverged?"
            )
        categories = self._categories(rows[:, 6].astype(np.int64))
        if self._output_dir:
            self._write(rows, categories)
        if self._truth.boxes is None:
            return {}
        if len(rows) == 0:
            logger.warning("No object was detected.")
        precision = self._truth.precision(rows, categories)
        names = MetadataCatalog.get(self._name).get("thing_classes")
        if names is not None and len(names) > 1 and len(names) != precision.shape[2]:
            raise ConfigError(
                f"The metadata of {self._name!r} name {len(names)} classes (thing_classes), but "
                f"its annotations have {precision.shape[2]} categories; expected the same number."
            )
        return {"bbox": _metrics(precision, names)}

    def _position(self, image_id: Any) -> int:
        position = self._truth.images.get(image_id)
        if position is None:
            raise ConfigError(
                f"Image {image_id!r} is not in the data set {self._name!r} of the evaluator; let "
                "dataloader.evaluator.dataset_name and dataloader.test.dataset.names be the same."
            )
        return position

    def _categories(self, classes: np.ndarray) -> np.ndarray:
        """The data set's category ids of the model's classes (0, 1, ...)."""
        metadata = MetadataCatalog.get(self._name)
        key = "thing_dataset_id_to_contiguous_id"
        if not hasattr(metadata, key) and self._name in DatasetCatalog:
            DatasetCatalog.get(self._name)  # sets it, if this process has not loaded the data yet
        if not hasattr(metadata, key):
            return classes
        ids = {number: category for category, number in getattr(metadata, key).items()}
        unknown = sorted(set(classes.tolist()) - ids.keys())
        if unknown:
            raise ConfigError(
                f"The model gives class {unknown[0]}, but {self._name!r} has the {len(ids)} "
                f"classes 0 to {len(ids) - 1}: set the model's num_classes to {len(ids)}."
            )
        return np.array([ids[number] for number in classes.tolist()], dtype=np.int64)

    def _write(self, rows: np.ndarray, categories: np.ndarray) -> None:
        ids = list(self._truth.images)
        columns = (rows[:, 0].astype(int), categories, rows[:, 1:5], rows[:, 5])
        results = [
            {"image_id": ids[image], "category_id": category, "bbox": box, "score": score}
            for image, category, box, score in zip(*(c.tolist() for c in columns), strict=True)
        ]
        write_atomically(Path(str(self._output_dir)) / RESULTS_FILE, json.dumps(results))


class _GroundTruth:
    """The boxes of a data set; images and categories by their positions in the order of ids.

    Args:
        dataset: the contents of a COCO JSON file.

    Attributes:
        images: position by id, in ascending order.
        boxes: None where the file has no annotations at all, as those of COCO's test sets.
    """

    def __init__(self, dataset: Mapping[str, Any]) -> None:
        ids = sorted({image["id"] for image in dataset["images"]})
        self.images = {image_id: i for i, image_id in enumerate(ids)}
        self._categories = np.array(sorted({c["id"] for c in dataset["categories"]}))
        self.boxes: hotcoco.COCO | None = None
        if "annotations" not in dataset:
            return
        known = set(self._categories.tolist())
        boxes = [
            a
            for a in dataset["annotations"]
            if a["image_id"] in self.images and a["category_id"] in known
        ]
        self.boxes = hotcoco.COCO.from_arrays(
            images=[{"id": i} for i in self.images.values()],
            categories=[{"id": i, "name": str(c)} for i, c in enumerate(self._categories)],
            image_ids=np.array([self.images[a["image_id"]] for a in boxes], dtype=np.int64),
            category_ids=np.searchsorted(self._categories, [a["category_id"] for a in boxes]),
            boxes=np.array([a["bbox"] for a in boxes], dtype=np.float64).reshape(-1, 4),
            area=np.array([_area(a) for a in boxes], dtype=np.float64),
            iscrowd=np.array([a.get("iscrowd", 0) for a in boxes], dtype=np.int64),
        )

    def precision(self, rows: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """
        Args:
            rows: (detections, 7), see `_COLUMNS`.
            categories: (detections,), ids of the data set; those that it lacks are passed over.

        Returns:
            (IoU thresholds, recalls, categories, areas, detections an image) as in pycocotools.
        """
        known = np.isin(categories, self._categories)
        rows = rows[known]
        rows[:, 6] = np.searchsorted(self._categories, categories[known])
        if len(rows) == 0:  # of which hotcoco gives no precision: one that hits nothing is as good
            rows = _MISS
        assert self.boxes is not None
        evaluation = hotcoco.COCOeval(self.boxes, self.boxes.load_res(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        assert evaluation.eval is not None
        return evaluation.eval["precision"]


def _metrics(precision: np.ndarray, names: list[str] | None) -> dict[str, float]:
    """COCO's figures, and those of the classes where there is more than one."""
    slices = {key: precision[:, :, :, area, -1] for key, area in _AREAS.items()}
    slices.update({key: precision[iou, :, :, 0, -1] for key, iou in _IOUS.items()})
    metrics = {key: _mean(slices[key]) for key in _METRICS}
    if names is not None and len(names) > 1:
        for i, name in enumerate(names):
            metrics[f"AP-{name}"] = _mean(precision[:, :, i, 0, -1])
    return metrics


def _mean(precision: np.ndarray) -> float:
    """In percent; NaN where all are -1, which is to say without objects."""
    valid = precision[precision > -1]
    return float(valid.mean() * 100) if valid.size else float("nan")


def _area(annotation: Mapping[str, Any]) -> float:
    """COCO's files give the area of the mask; where there is none, that of the box."""
    width, height = annotation["bbox"][2:]
    return float(annotation.get("area", width * height))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


def _read_annotations(name: str) -> dict[str, Any]:
    json_file = MetadataCatalog.get(name).get("json_file")
    if json_file is not None:
        return json.loads(Path(PathManager.get_local_path(json_file)).read_text())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "annotations.json"
        convert_to_coco_json(name, str(file))
        return json.loads(file.read_text())
