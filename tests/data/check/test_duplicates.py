"""The same image more than once, within a split and between splits."""

from __future__ import annotations

import json
import shutil

import cv2
import PIL.Image
from data_to_check import make_coco


def places(report, code):
    return {f["code"]: f["places"] for f in report["findings"]}.get(code)


def test_copies_between_splits_are_told(tmp_path, check):
    train = make_coco(tmp_path / "all", 3)
    photos, val = train.parent / "photos", train.with_name("val.json")
    content = json.loads(train.read_text())
    for image in content["images"]:
        source, image["file_name"] = image["file_name"], f"v{image['file_name']}"
        turned = cv2.rotate(cv2.imread(str(photos / source)), cv2.ROTATE_180)
        cv2.imwrite(str(photos / image["file_name"]), turned)
    val.write_text(json.dumps(content))
    status, report = check(train, val)
    assert (status, report["findings"]) == (0, [])  # different images

    PIL.Image.open(photos / "1.jpg").save(photos / "v0.jpg", quality=30)
    _, report = check(train, val)
    assert places(report, "similar") == {"val": ["v0.jpg = 1.jpg in train"]}

    shutil.copy(photos / "1.jpg", photos / "v0.jpg")
    for options in ((), ("--fast",)):
        _, report = check(train, val, *options)
        assert places(report, "leak") == {"val": ["v0.jpg = 1.jpg in train"]}

    val.write_text(train.read_text())
    status, report = check(train, val)
    assert status == 0
    assert places(report, "leak") == {"val": [f"{i}.jpg = {i}.jpg in train" for i in range(3)]}
    assert places(report, "similar") is None  # said once
