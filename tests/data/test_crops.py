"""Boxes cut out as a classification set."""

from __future__ import annotations

import numpy as np
import pytest
from detectron2.structures import BoxMode
from PIL import Image

from detnas_d2.data import DataError
from detnas_d2.data.crops import write_box_crops

SIDE = 64 / 1.4  # with its margins, a box of this side is cut out without resizing
CORNERS = {"a": (30.0, 20.0), "b": (200.0, 190.0)}


@pytest.fixture
def splits(tmp_path):
    """Images whose pixels say where they are: (row, column, 0)."""
    rows, columns = np.indices((240, 250))
    pixels = np.stack([rows, columns, rows * 0], axis=2).astype(np.uint8)
    records = []
    for i in range(10):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        boxes = [
            {"category_id": c, "bbox": [x, y, SIDE, SIDE], "bbox_mode": BoxMode.XYWH_ABS}
            for c, (x, y) in enumerate(CORNERS.values())
        ]
        records.append({"file_name": str(tmp_path / f"{i}.png"), "annotations": boxes})
    return {"train": records[:7], "val": records[7:]}


def places(folder):
    """Row and column of the first pixel of each image."""
    crops = [np.asarray(Image.open(file)) for file in sorted(folder.iterdir())]
    assert {crop.shape for crop in crops} == {(64, 64, 3)}
    return [tuple(crop[0, 0, :2].tolist()) for crop in crops]


def test_what_is_cut_out(splits, tmp_path):
    root = write_box_crops(tmp_path / "boxes", splits, ["a", "b"])
    # around (42.9, 52.9); the other is moved into the image
    assert places(root / "train" / "a") == [(11, 21)] * 7
    assert places(root / "val" / "b") == [(240 - 64, 250 - 64)] * 3
    background = places(root / "train" / "background")
    assert 7 < len(background) <= 14 and len(set(background)) > 7
    for top, left in background:
        for x, y in CORNERS.values():
            width = min(x + SIDE, left + 64) - max(x, left)
            height = min(y + SIDE, top + 64) - max(y, top)
            assert max(width, 0) * max(height, 0) / 64**2 < 0.11  # to the pixel

    # it is deterministic and written once
    again = [write_box_crops(tmp_path / name, splits, ["a", "b"]) for name in ("boxes", "other")]
    files = [{p.relative_to(r): p.read_bytes() for p in r.rglob("*.png")} for r in again]
    assert files[0] == files[1] and len(files[0]) > 20
    with pytest.raises(DataError, match="classes: .* there, .* now"):
        write_box_crops(root, splits, ["b", "a"])
    with pytest.raises(DataError, match="no box of class unicorn"):
        write_box_crops(tmp_path / "z", splits, ["a", "b", "unicorn"])
    assert not (tmp_path / "z").exists()
