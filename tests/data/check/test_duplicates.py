"""The same image more than once, within a split and between splits."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import PIL.Image
import pytest
from data_to_check import make_coco

from detnas_d2.data.check.duplicates import similar_pairs


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


def test_candidates_by_bands_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(60):
        base = cv2.resize(rng.integers(0, 256, (5, 5), dtype=np.uint8), (16, 16))
        pictures.append(base)
        for noise in (2, 6, 20):
            changed = base + rng.normal(0, noise, base.shape)
            pictures.append(np.clip(changed, 0, 255).astype(np.uint8))
    pictures = np.stack([pictures[i] for i in rng.permutation(len(pictures))])

    def bits(picture):
        cells = cv2.resize(picture, (9, 8), interpolation=cv2.INTER_AREA).astype(int)
        return [cells[y, x + 1] > cells[y, x] for y in range(8) for x in range(8)]

    expected, hashes = [], np.array([bits(picture) for picture in pictures])
    for later in range(len(pictures)):
        for earlier in range(later):
            a, b = pictures[later], pictures[earlier]
            if (hashes[later] != hashes[earlier]).sum() <= 3 and np.abs(
                a.astype(float) - b
            ).mean() <= 4:
                expected.append((later, earlier))
                break
    assert len(expected) > 20
    assert similar_pairs(pictures) == expected
