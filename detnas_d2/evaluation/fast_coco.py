"""COCO's box AP as Detectron2's COCOEvaluator gives it, by a fast library and out of arrays."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets import convert_to_coco_json
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import BoxMode
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager

from ..data.coco_reader import order
from ..engine import ConfigError
from ..files import parse_json, write_atomically

RESULTS_FILE = "coco_instances_results.json"
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
        dataset = _read_annotations(dataset_name)
        ids = sorted({image["id"] for image in dataset["images"]}, key=order)
        self._images = {image_id: position for position, image_id in enumerate(ids)}
        self._categories = np.array(sorted({c["id"] for c in dataset["categories"]}))
        annotations = dataset.get("annotations")  # COCO's test sets have none at all
        self._truth = None if annotations is None else self._index(annotations)
        self.reset()

    def reset(self) -> None:
        self._count = 0
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
            self._count += 1
            position = self._images.get(image["image_id"])
            if position is None:
                raise ConfigError(
                    f"Image {image['image_id']!r} is not in the data set {self._name!r} of the "
                    "evaluator; let dataloader.evaluator.dataset_name and "
                    "dataloader.test.dataset.names be the same."
                )
            found = output["instances"]
            boxes = found.pred_boxes.tensor.detach().float().cpu()
            rows = np.empty((len(found), _COLUMNS))
            rows[:, 0] = position
            rows[:, 1:5] = BoxMode.convert(boxes, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)
            rows[:, 5] = found.scores.detach().float().cpu()  # numpy has no bfloat16
            rows[:, 6] = found.pred_classes.cpu()
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
        count, rows = self._count, np.concatenate([np.empty((0, _COLUMNS)), *self._rows])
        if self._distributed:
            shares = comm.gather((count, rows), dst=0)
            if not comm.is_main_process():
                return {}
            count, rows = sum(n for n, _ in shares), np.concatenate([part for _, part in shares])
        if count == 0:
            logger.warning("No output of the model has 'instances': there is nothing to evaluate.")
            return {}
        wrong = int((~np.isfinite(rows)).any(axis=1).sum())
        if wrong:
            raise FloatingPointError(
                f"{wrong} of {len(rows)} detections have NaN or infinity in box or score; expected "
                "finite numbers. Has the training diverged?"
            )
        rows[:, 6] = self._category_ids(rows[:, 6].astype(np.int64))
        if self._output_dir:
            self._write(rows)
        if self._truth is None:
            return {}
        if len(rows) == 0:
            logger.warning("No object was detected.")
        names = MetadataCatalog.get(self._name).get("thing_classes")
        if names is not None and 1 < len(names) != len(self._categories):
            raise ConfigError(
                f"The metadata of {self._name!r} name {len(names)} classes (thing_classes), but "
                f"its annotations have {len(self._categories)} categories; expected the same "
                "number."
            )
        return {"bbox": _metrics(self._precision(self._truth, rows), names or ())}

    def _category_ids(self, classes: np.ndarray) -> np.ndarray:
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

    def _write(self, rows: np.ndarray) -> None:
        ids = list(self._images)
        results = [
            {"image_id": ids[int(i)], "category_id": int(category), "bbox": box, "score": score}
            for i, *box, score, category in rows.tolist()
        ]
        write_atomically(Path(str(self._output_dir)) / RESULTS_FILE, json.dumps(results))

    def _index(self, annotations: Iterable[dict[str, Any]]) -> hotcoco.COCO:
        """The ground truth; images and categories by their positions in the order of ids."""
        known = set(self._categories.tolist())
        boxes = [a for a in annotations if a["image_id"] in self._images]
        boxes = [a for a in boxes if a["category_id"] in known]
        # COCO's files give the area of the mask; where there is none, that of the box
        areas = [a.get("area", a["bbox"][2] * a["bbox"][3]) for a in boxes]
        return hotcoco.COCO.from_arrays(
            images=[{"id": i} for i in self._images.values()],
            categories=[{"id": i, "name": str(c)} for i, c in enumerate(self._categories)],
            image_ids=np.array([self._images[a["image_id"]] for a in boxes], dtype=np.int64),
            category_ids=np.searchsorted(self._categories, [a["category_id"] for a in boxes]),
            boxes=np.array([a["bbox"] for a in boxes], dtype=np.float64).reshape(-1, 4),
            area=np.array(areas, dtype=np.float64),
            iscrowd=np.array([a.get("iscrowd", 0) for a in boxes], dtype=np.int64),
        )

    def _precision(self, truth: hotcoco.COCO, rows: np.ndarray) -> np.ndarray:
        """(IoU thresholds, recalls, categories, areas, detections an image) as in pycocotools."""
        rows = rows[np.isin(rows[:, 6], self._categories)]
        rows[:, 6] = np.searchsorted(self._categories, rows[:, 6])
        if len(rows) == 0:  # of which hotcoco gives no precision: one that hits nothing is as good
            rows = _MISS
        evaluation = hotcoco.COCOeval(truth, truth.load_res(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        assert evaluation.eval is not None
        return evaluation.eval["precision"]


def _metrics(precision: np.ndarray, names: Iterable[str]) -> dict[str, float]:
    """COCO's figures in percent, and those of the classes where there is more than one; NaN where
    all of a figure's precisions are -1, which is to say without objects."""
    precision = precision[..., -1]
    slices = {
        "AP": precision[..., 0],
        "AP50": precision[0, ..., 0],
        "AP75": precision[5, ..., 0],
        **{key: precision[..., area] for area, key in enumerate(("APs", "APm", "APl"), start=1)},
    }
    names = list(names)
    if len(names) > 1:
        slices |= {f"AP-{name}": precision[:, :, i, 0] for i, name in enumerate(names)}
    valid = {key: values[values > -1] for key, values in slices.items()}
    return {key: float(v.mean() * 100) if v.size else float("nan") for key, v in valid.items()}


def _read_annotations(name: str) -> dict[str, Any]:
    json_file = MetadataCatalog.get(name).get("json_file")
    if json_file is not None:
        return parse_json(Path(PathManager.get_local_path(json_file)).read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "annotations.json"
        convert_to_coco_json(name, str(file))
        return json.loads(file.read_text())
