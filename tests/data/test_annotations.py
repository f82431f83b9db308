"""Damaged boxes: reported once, left out, the rest goes on; on made-up and on real data."""

from __future__ import annotations

import copy
import json
import logging
import xml.etree.ElementTree as ET

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode

from detnas_d2.data import DataError, annotations, drop_damaged_boxes, register_bccd

SPLITS = ("train", "val", "test")


@pytest.fixture
def warnings(monkeypatch, caplog):
    """The lines reported since the test began, as if nothing had been reported before."""
    monkeypatch.setattr(annotations, "_reported", set())
    # Detectron2's logger setup may have cut propagation; listen at the source.
    monkeypatch.setattr(logging.getLogger("detnas_d2"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="detnas_d2.data.annotations")
    return lambda: [r.message for r in caplog.records if r.name == "detnas_d2.data.annotations"]


def record(name, boxes, mode=BoxMode.XYXY_ABS):
    boxes = [{"bbox": box, "bbox_mode": mode, "category_id": 0} for box in boxes]
    return {"file_name": f"/x/{name}", "width": 100, "height": 50, "annotations": boxes}


def kept(records):
    return [[a["bbox"] for a in r["annotations"]] for r in records]


def test_each_kind_of_damage_is_left_out_and_counted(warnings):
    good, edge = [10, 10, 20, 20], [-5, 40, 3, 70]  # the second is partly inside
    records = [
        record("fine.jpg", [good, edge]),
        record("flat.jpg", [[10, 10, 10, 20], good, [10, 10, 20, 9], [5, 5, 6, 6]]),
        record("nan.jpg", [[float("nan"), 0, 5, 5], [0, 0, float("inf"), 5]]),
        record("out.jpg", [[100, 10, 120, 20], [10, -30, 20, 0], good]),
    ]
    before = copy.deepcopy(records)
    assert kept(drop_damaged_boxes(records, "toy")) == [[good, edge], [good], [], [good]]
    assert repr(records) == repr(before)
    assert warnings() == [
        "Data set toy: left out 7 damaged boxes (2 not finite, 3 without area, 2 outside the "
        "image) in 3 images: flat.jpg, nan.jpg, out.jpg"
    ]


def test_coco_boxes_are_width_and_height(warnings):
    boxes = [[10, 10, 1, 1], [10, 10, 2, 2], [98, 10, 40, 40], [10, 10, 0, 5]]
    cleaned = drop_damaged_boxes([record("a.jpg", boxes, BoxMode.XYWH_ABS)], "toy")
    assert kept(cleaned) == [[[10, 10, 2, 2], [98, 10, 40, 40]]]
    assert "2 without area" in warnings()[0]


def test_a_box_of_coco_is_not_rounded(warnings):
    """In float32, 255.2 + 1 - 255.2 is more than 1."""
    wide = {**record("a.jpg", [[255.2, 10, 1, 9]], BoxMode.XYWH_ABS), "width": 1000}
    assert kept(drop_damaged_boxes([wide], "toy")) == [[]]


def test_it_is_reported_once_for_each_data_set(warnings):
    records = [record(f"{i}.jpg", [[0, 0, 0, 0]]) for i in range(25)]
    for name in ("a", "b", "a"):
        drop_damaged_boxes(records, name)
    assert [line.split(":")[0] for line in warnings()] == ["Data set a", "Data set b"]
    assert warnings()[0].endswith("9.jpg and 15 more")


def test_clean_sets_say_nothing(warnings):
    drop_damaged_boxes([record("a.jpg", [[0, 0, 100, 50]])], "toy")
    assert warnings() == []


def test_a_box_of_three_numbers_is_an_error():
    with pytest.raises(DataError, match=r"a\.jpg is not four numbers"):
        drop_damaged_boxes([record("a.jpg", [[0, 0, 5]])], "toy")


@pytest.mark.parametrize("form", ["bccd", "bccd_voc"])
def test_bccds_two_damaged_boxes_are_reported_once_and_left_out(bccd, warnings, form):
    register_bccd(is_default=True)
    for _ in range(2):
        loaded = {split: DatasetCatalog.get(f"{form}_{split}") for split in SPLITS}
    assert {s: len(loaded[s]) for s in SPLITS} == {"train": 205, "val": 87, "test": 72}
    lines = warnings()
    assert len(lines) == 2
    assert all("left out 1 damaged box (1 without area) in 1 image" in line for line in lines)
    assert "BloodImage_00343" in lines[0] and "BloodImage_00338" in lines[1]
    # Counted from the files, not by the package.
    in_files = sum(
        len(json.loads((bccd / "annotations" / f"instances_{s}.json").read_text())["annotations"])
        for s in SPLITS
    )
    in_xml = sum(
        len(ET.parse(path).findall("object")) for path in (bccd / "Annotations").glob("*.xml")
    )
    assert in_files == in_xml
    assert sum(len(r["annotations"]) for s in SPLITS for r in loaded[s]) == in_files - 2


@pytest.mark.parametrize("split", SPLITS)
def test_both_forms_of_bccd_hold_the_same_boxes(bccd, split):
    register_bccd(is_default=True)
    forms = []
    for name in (f"bccd_{split}", f"bccd_voc_{split}"):
        classes = MetadataCatalog.get(name).thing_classes
        forms.append(
            {
                r["file_name"].rsplit("/", 1)[1]: sorted(
                    (
                        classes[a["category_id"]],
                        *BoxMode.convert(list(a["bbox"]), a["bbox_mode"], BoxMode.XYXY_ABS),
                    )
                    for a in r["annotations"]
                )
                for r in DatasetCatalog.get(name)
            }
        )
    assert forms[0] == forms[1]
