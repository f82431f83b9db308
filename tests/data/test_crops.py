"""Boxes cut out as a classification set."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from detectron2.data import DatasetCatalog
from PIL import Image

from detnas_d2.data import DataError, crops, load_image_folder

CLASSES = ["RBC", "WBC", "Platelets"]


@pytest.fixture
def some(bccd):
    # 00343 (train) and 00338 (val) hold the two damaged boxes.
    train = [r for r in DatasetCatalog.get("bccd_train") if "_0034" in r["file_name"]]
    val = [r for r in DatasetCatalog.get("bccd_val") if "00338" in r["file_name"]]
    val += [r for r in DatasetCatalog.get("bccd_val") if "_0031" in r["file_name"]]
    return {"train": train, "val": val}


def test_each_box_gives_an_image_of_its_class(some, tmp_path):
    root = crops.write_box_crops(tmp_path / "boxes", some, CLASSES)
    assert any("BloodImage_00343" in r["file_name"] for r in some["train"])
    names = sorted([*CLASSES, "background"])
    for split, records in some.items():
        listed = load_image_folder(root, split)
        counts = np.bincount([r["category_id"] for r in listed], minlength=4)
        expected = np.bincount(
            [a["category_id"] for r in records for a in r["annotations"]], minlength=3
        )
        by_name = dict(zip(names, counts.tolist(), strict=True))
        assert [by_name[name] for name in CLASSES] == expected.tolist()
        assert 0 < by_name["background"] <= 2 * len(records)
        assert all(Image.open(r["file_name"]).size == (64, 64) for r in listed)
    # A bright ground and purple white cells: the mean tells the classes apart.
    means = {
        name: np.mean([np.asarray(Image.open(p)).mean() for p in (root / "train" / name).iterdir()])
        for name in ("WBC", "background")
    }
    assert means["background"] > means["WBC"] + 5


def test_it_is_deterministic_and_written_once(some, tmp_path):
    def content(folder):
        return {
            str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*.png"))
        }

    few = {split: records[:3] for split, records in some.items()}
    a = crops.write_box_crops(tmp_path / "a", few, CLASSES)
    assert content(a) == content(crops.write_box_crops(tmp_path / "b", few, CLASSES))
    assert crops.write_box_crops(tmp_path / "a", few, CLASSES) == a
    with pytest.raises(DataError, match="classes: .* there, .* now"):
        crops.write_box_crops(tmp_path / "a", few, CLASSES[::-1])


def test_a_crop_is_the_square_around_the_box_moved_inside():
    rows, columns = np.indices((150, 180))
    pixels = np.stack([rows, columns, rows * 0], axis=2).astype(np.uint8)
    # Centre (90, 75), side 64: rows 43 to 106, columns 58 to 121.
    cut = crops._cut(pixels, 90, 75, 64)
    assert cut[0, 0].tolist() == [43, 58, 0] and cut[-1, -1].tolist() == [106, 121, 0]
    corner = crops._cut(pixels, 179, 1, 64)
    assert corner[0, 0].tolist() == [0, 116, 0] and corner[-1, -1].tolist() == [63, 179, 0]
    assert crops._cut(pixels, 90, 75, 300).shape == (64, 64, 3)  # no larger than the image


def test_background_keeps_off_the_boxes():
    boxes = [(10.0, 10.0, 60.0, 60.0), (100.0, 20.0, 140.0, 70.0)]
    rng = np.random.default_rng(0)
    found = [crops._empty_square((120, 200), boxes, rng) for _ in range(100)]
    assert sum(f is not None for f in found) > 50
    for x, y, side in (f for f in found if f):
        square = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        assert min(square[:2]) >= 0 and square[2] <= 200 and square[3] <= 120
        for box in boxes:
            w = min(box[2], square[2]) - max(box[0], square[0])
            h = min(box[3], square[3]) - max(box[1], square[1])
            shared = max(w, 0) * max(h, 0)
            union = side**2 + (box[2] - box[0]) * (box[3] - box[1]) - shared
            assert shared / union < 0.1
    full = [(0.0, 0.0, 200.0, 120.0)]
    assert crops._empty_square((120, 200), full, rng) is None


def test_a_class_without_boxes_is_named(some, tmp_path):
    with pytest.raises(DataError, match="no box of class unicorn"):
        crops.write_box_crops(tmp_path / "a", some, [*CLASSES, "unicorn"])
    assert not (tmp_path / "a").exists()
