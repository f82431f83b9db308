"""Records as processes keep them: without masks where only boxes are trained on."""

from __future__ import annotations

import copy

from detectron2.data import DatasetMapper
from detectron2.structures import BoxMode

from detnas_d2.data.records import kept_records

RECORD = {
    "file_name": "a.png",
    "annotations": [
        {
            "bbox": [4, 5, 20, 12],
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": 1,
            "iscrowd": 0,
            "segmentation": [[4, 5, 24, 5, 24, 17, 4, 17]],
            "keypoints": [5.5, 7.5, 2],
        }
    ],
}


def mapper(is_train=True, **kwargs):
    return DatasetMapper(is_train, augmentations=[], image_format="BGR", **kwargs)


def test_masks_and_keypoints_are_kept_for_a_mapper_that_uses_them():
    records = [copy.deepcopy(RECORD)]
    for own, left_out in (
        (mapper(), {"segmentation", "keypoints"}),
        (mapper(is_train=False), {"segmentation", "keypoints"}),
        (mapper(use_instance_mask=True), {"keypoints"}),
        (mapper(use_keypoint=True), {"segmentation"}),
        (len, set()),  # of a mapper of one's own nothing is known
    ):
        (annotation,) = kept_records(records, own)[0]["annotations"]
        (whole,) = RECORD["annotations"]
        assert annotation == {key: x for key, x in whole.items() if key not in left_out}
    assert records == [RECORD]
