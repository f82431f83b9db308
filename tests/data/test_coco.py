"""COCO files read as Detectron2 reads them; damaged boxes are reported once and left out."""

from __future__ import annotations

import copy
import json
import logging

import pytest
from data_to_check import make_coco, refusal
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets import load_coco_json

from detnas_d2.data import dataset, register_coco, unregister_dataset


@pytest.fixture
def warnings(monkeypatch, caplog):
    """The lines reported since the test began, as if nothing had been reported before."""
    dataset._warn_once.cache_clear()
    # Detectron2's logger setup may have cut propagation; listen at the source.
    monkeypatch.setattr(logging.getLogger("detnas_d2"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="detnas_d2.data.dataset")
    return lambda: [r.message for r in caplog.records if r.name == "detnas_d2.data.dataset"]


@pytest.fixture
def load():
    """The records of a JSON file whose images lie in photos beside it."""

    def load(file):
        register_coco("read_coco", file, file.parent / "photos")
        try:
            return DatasetCatalog.get("read_coco")
        finally:
            unregister_dataset("read_coco")

    return load


def test_records_are_those_of_detectron2(tmp_path, load):
    """With masks, keypoints and crowds, ids with holes, and images that are out of order."""
    file = make_coco(tmp_path, 12)
    content = json.loads(file.read_text())
    content["images"].reverse()
    for category in content["categories"]:
        category["id"] *= 7
    for i, annotation in enumerate(content["annotations"]):
        annotation["category_id"] *= 7
        annotation["iscrowd"] = int(i % 5 == 0)
        annotation["segmentation"] = (
            {"counts": [96, 20, 2956], "size": [48, 64]},
            [[1, 1, 9, 1, 9, 9], [1, 2]],
            {"counts": "abc", "size": [48, 64]},
            [],
        )[i % 4]
        if i % 3:
            annotation["keypoints"] = [3, 4, 2, 5, 6, 0]
    content["annotations"].reverse()
    file.write_text(json.dumps(content))
    expected = load_coco_json(str(file), str(tmp_path / "photos"), "theirs_of_coco")
    found = load(file)
    theirs = MetadataCatalog.get("theirs_of_coco")
    assert theirs.thing_classes == ["cell", "dot"] and len(found) == 12
    MetadataCatalog.remove("theirs_of_coco")
    assert found == expected


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([10, 10, 1, 9], "without area"),
        ([20.2, 10, 1, 9], "without area"),  # in float32, 20.2 + 1 - 20.2 is more than 1
        ([float("nan"), 0, 5, 5], "not finite"),
        ([0, 0, float("inf"), 5], "not finite"),
        ([64, 10, 20, 20], "outside the image"),
        ([60, -4, 20, 20], None),
        ([10, 10, 1.5, 1.5], None),
    ],
)
def test_damaged_boxes_are_left_out_and_told_once(tmp_path, load, warnings, box, reason):
    file = make_coco(tmp_path, 3)
    content = json.loads(file.read_text())
    before = copy.deepcopy(content["annotations"])
    content["annotations"][0]["bbox"] = box
    file.write_text(json.dumps(content))
    for _ in range(2):
        boxes = [a["bbox"] for record in load(file) for a in record["annotations"]]
    others = [a["bbox"] for a in before[1:]]
    assert boxes == (others if reason else [box, *others])
    assert len(warnings()) == bool(reason)
    if reason:
        start = "LEFT OUT: boxes without area, outside their image, not finite, or of no image: 1"
        assert warnings()[0].startswith(f"{start} in read_coco\n    0.jpg: ")
        assert warnings()[0].endswith(f"({reason})")


def test_keypoints_beside_a_mask_that_is_none_are_kept(tmp_path, load):
    """And an image may have an id of another kind: the evaluator reads what is taken."""
    file = make_coco(tmp_path, 3)
    content = json.loads(file.read_text())
    content["annotations"][0] |= {"segmentation": [[1, 1]], "keypoints": [3, 4, 2]}
    content["images"][2]["id"] = content["annotations"][3]["image_id"] = "a"
    file.write_text(json.dumps(content))
    annotation = load(file)[0]["annotations"][0]
    assert annotation["keypoints"] == [3.5, 4.5, 2] and "segmentation" not in annotation
    assert refusal(file, tmp_path / "photos") is None
