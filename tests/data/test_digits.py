"""The demo set: deterministic, apart between splits, tight boxes, whole or not there."""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode

from detnas_d2.data import (
    DataError,
    DigitsParameters,
    digit_scenes,
    write_digits,
)
from detnas_d2.data.atomic import MARKER, write_folder_once
from detnas_d2.data.digit_scenes import SPLITS, DigitScenes

TINY = DigitsParameters(
    image_size=48,
    classes=(2, 5),
    images=(2, 1, 1),
    digits_per_image=(1, 2),
    digit_size=(16, 24),
    cls_image_size=24,
    cls_images_per_class=(1, 1),
)


def contents(folder: Path) -> dict[str, bytes]:
    files = filter(Path.is_file, folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_same_parameters_give_the_same_bytes_and_others_other_ones(tmp_path):
    root = write_digits(tmp_path / "a", TINY)
    first, stamp = contents(root), root.stat().st_mtime_ns
    assert contents(write_digits(tmp_path / "b", TINY)) == first
    other = contents(write_digits(tmp_path / "c", dataclasses.replace(TINY, seed=1)))
    assert other.keys() == first.keys()
    assert all(other[name] != first[name] for name in first if name.endswith(".png"))
    # a second call does nothing, and other parameters are refused
    assert write_digits(root, TINY) == root and root.stat().st_mtime_ns == stamp
    with pytest.raises(DataError, match=r"other parameters \(seed: 0 there, 3 now\)"):
        write_digits(root, dataclasses.replace(TINY, seed=3))
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="not made by this command"):
        write_digits(tmp_path / "mine", TINY)


def test_splits_share_neither_digits_nor_photographs():
    scenes = [DigitScenes(s, tuple(range(10)), 0, 14) for s in SPLITS]
    pools = [{x.tobytes() for pool in scene._pools.values() for x in pool} for scene in scenes]
    columns = [set(range(*digit_scenes._COLUMNS[s])) for s in SPLITS]
    for parts in (pools, columns):
        assert not any(a & b for a, b in itertools.combinations(parts, 2))
    assert sum(len(pool) for scene in scenes for pool in scene._pools.values()) == 1797
    assert set().union(*columns) == set(range(640))


def test_boxes_are_tight_around_the_ink(monkeypatch):
    """Against the ground alone: the same draw with an invisible digit."""
    scenes = DigitScenes("val", (3, 8), 1, 14)
    drawn = [scenes.draw(index, 96, (24, 40), (1, 1)) for index in range(20)]
    monkeypatch.setattr(digit_scenes, "_paint", lambda *args: None)
    for index, (image, ((_, (x0, y0, x1, y1)),)) in enumerate(drawn):
        ground, _ = scenes.draw(index, 96, (24, 40), (1, 1))
        changed = np.abs(image.astype(int) - ground.astype(int)).max(axis=2) > 0
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        # Every border row and column of the box has ink, and nothing outside has.
        assert (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) == (y0, y1, x0, x1)
        assert 8 <= y1 - y0 <= 40


def test_all_forms(digits_voc):
    for split, count in zip(SPLITS, (12, 6, 6), strict=True):
        coco, voc = (DatasetCatalog.get(f"digits_{form}{split}") for form in ("", "voc_"))
        assert MetadataCatalog.get(f"digits_{split}").thing_classes == ["zero", "one", "seven"]
        assert [a["file_name"] for a in coco] == [b["file_name"] for b in voc]
        boxes = [
            [
                (
                    x["category_id"],
                    BoxMode.convert(list(x["bbox"]), x["bbox_mode"], BoxMode.XYXY_ABS),
                )
                for record in records
                for x in record["annotations"]
            ]
            for records in (coco, voc)
        ]
        assert boxes[0] == boxes[1] and len(coco) == count <= len(boxes[0])


def test_without_scikit_learn_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"pip install -e \.\[demo\]"):
        write_digits(tmp_path / "a", TINY)
    assert not (tmp_path / "a").exists()


def test_a_write_that_is_killed_leaves_nothing_that_looks_whole(tmp_path):
    target = tmp_path / "set"
    child = os.fork()
    if not child:

        def write(folder):
            (folder / "half").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

        write_folder_once(target, {"a": 1}, write)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert not target.exists() and len(list(tmp_path.glob(".set.partial-*/half"))) == 1
    write_folder_once(target, {"a": 1}, lambda folder: (folder / "whole").touch())
    assert {p.name for p in target.iterdir()} == {"whole", MARKER}
