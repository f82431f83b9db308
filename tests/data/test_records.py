"""Records as processes keep them: without masks where only boxes are trained on."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import tiny
from detectron2.data import DatasetMapper
from detectron2.structures import BoxMode
from PIL import Image

from detnas_d2.data import build_train_loader
from detnas_d2.data.records import kept_records


@pytest.fixture
def records(tmp_path):
    rng = np.random.default_rng(0)
    made = []
    for i in range(4):
        name = str(tmp_path / f"{i}.png")
        Image.fromarray(rng.integers(256, size=(40, 60, 3), dtype=np.uint8)).save(name)
        annotations = [
            {
                "bbox": [x, 5, 20, 12],
                "bbox_mode": BoxMode.XYWH_ABS,
                "category_id": i % 2,
                "iscrowd": 0,
                "segmentation": [[x, 5, x + 20, 5, x + 20, 17, x, 17]],
                "keypoints": [x + 1.5, 7.5, 2],
            }
            for x in (2, 30)
        ]
        size = {"height": 40, "width": 60}
        made.append({"file_name": name, "image_id": i, **size, "annotations": annotations})
    return made


def mapper(**kwargs):
    return DatasetMapper(True, augmentations=[], image_format="BGR", **kwargs)


def test_masks_and_keypoints_are_kept_for_a_mapper_that_uses_them(records):
    before = copy.deepcopy(records)
    for own, more in (
        (mapper(), set()),
        (mapper(use_instance_mask=True), {"segmentation"}),
        (mapper(use_keypoint=True), {"keypoints"}),
        (DatasetMapper(False, augmentations=[], image_format="BGR"), set()),
        (len, {"segmentation", "keypoints"}),  # of a mapper of one's own nothing is known
    ):
        kept = kept_records(records, own)
        keys = {key for i in range(len(kept)) for a in kept[i]["annotations"] for key in a}
        assert keys == {"bbox", "bbox_mode", "category_id", "iscrowd"} | more
    assert records == before


@pytest.mark.parametrize("masks", [False, True])
def test_the_mapped_images_are_those_of_the_whole_records(records, masks):
    own = mapper(use_instance_mask=masks)
    expected = {record["image_id"]: own(record)["instances"] for record in records}
    for image in next(iter(build_train_loader(records, own, 4))):
        found, instances = image["instances"], expected[image["image_id"]]
        assert set(found.get_fields()) == set(instances.get_fields())
        assert found.has("gt_masks") == masks
        assert tiny.same(found.gt_boxes.tensor, instances.gt_boxes.tensor)
        if masks:
            assert tiny.same(found.gt_masks.area(), instances.gt_masks.area())
