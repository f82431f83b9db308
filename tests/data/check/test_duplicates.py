"""The same image more than once, within a split and between splits."""

from __future__ import annotations

import json
import shutil

import cv2
import PIL.Image
import pytest
from data_to_check import make_coco


@pytest.fixture
def two(tmp_path):
    """train and val of different images."""
    train = make_coco(tmp_path / "all", 3)
    val = train.with_name("val.json")
    content = json.loads(train.read_text())
    for image in content["images"]:
        source, image["file_name"] = image["file_name"], f"v{image['file_name']}"
        turned = cv2.rotate(cv2.imread(str(train.parent / "photos" / source)), cv2.ROTATE_180)
        cv2.imwrite(str(train.parent / "photos" / image["file_name"]), turned)
    val.write_text(json.dumps(content))
    return train, val


def places(report, code):
    return {f["code"]: f["places"] for f in report["findings"]}.get(code)


def test_different_images_are_none(two, check):
    status, report = check(*two)
    assert (status, report["findings"]) == (0, [])


def test_the_same_file_in_two_splits(two, check):
    train, val = two
    val.write_text(train.read_text())
    status, report = check(*two)
    assert status == 0
    assert places(report, "leak") == {"val": [f"{i}.jpg = {i}.jpg in train" for i in range(3)]}
    assert places(report, "similar") is None  # said once


def test_the_same_bytes_under_another_name(two, check):
    photos = two[0].parent / "photos"
    shutil.copy(photos / "1.jpg", photos / "v0.jpg")
    for options in ((), ("--fast",)):
        _, report = check(*two, *options)
        assert places(report, "leak") == {"val": ["v0.jpg = 1.jpg in train"]}


def test_a_copy_of_another_quality(two, check):
    photos = two[0].parent / "photos"
    image = PIL.Image.open(photos / "1.jpg")
    image.save(photos / "v0.jpg", quality=30)
    _, report = check(*two)
    assert places(report, "similar") == {"val": ["v0.jpg = 1.jpg in train"]}
