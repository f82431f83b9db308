"""COCO predictions scored by Detectron2's VOC evaluator without running a network."""

from __future__ import annotations

import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.evaluation import COCOEvaluator, PascalVOCDetectionEvaluator
from detectron2.structures import Boxes, Instances

import detnas_d2.data  # noqa: F401  registers BCCD
from projects.DetNAS.paper.rescore import rescore_as_voc


def detections(record, shift):
    """The true boxes, some moved, with scores that differ."""
    boxes = torch.tensor([a["bbox"] for a in record["annotations"]]).float().reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]  # COCO form
    boxes[::3] += shift
    return Instances(
        (record["height"], record["width"]),
        pred_boxes=Boxes(boxes),
        scores=torch.rand(len(boxes), generator=torch.Generator().manual_seed(len(boxes))),
        pred_classes=torch.tensor([a["category_id"] for a in record["annotations"]]),
    )


@pytest.mark.parametrize("shift", [0.0, 25.0])
def test_equal_to_the_evaluator_on_the_detections_themselves(bccd_images, tmp_path, shift):
    """As if the VOC evaluator had seen the network's output instead of the file."""
    coco = COCOEvaluator("bccd_test", output_dir=str(tmp_path))
    voc = PascalVOCDetectionEvaluator("bccd_voc_test")
    coco.reset()
    voc.reset()
    by_name = {r["file_name"]: r["image_id"] for r in DatasetCatalog.get("bccd_voc_test")}
    for record in DatasetCatalog.get("bccd_test"):
        outputs = [{"instances": detections(record, shift)}]
        coco.process([record], outputs)
        voc.process([{"image_id": by_name[record["file_name"]]}], outputs)
    coco.evaluate()
    expected = voc.evaluate()["bbox"]
    file = tmp_path / "coco_instances_results.json"
    found = rescore_as_voc(str(file), "bccd_test", "bccd_voc_test")
    assert found == pytest.approx(dict(expected), abs=0.01)
    assert (found["AP50"] > 99) == (shift == 0.0)
