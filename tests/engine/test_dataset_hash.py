"""The same data set elsewhere has the same hash; another one under its name has another."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from detectron2.data import DatasetCatalog
from tiny_steps import DIGITS

from detnas_d2.data import unregister_dataset, write_digits
from detnas_d2.data.coco import register_coco
from detnas_d2.data.imagefolder import register_image_folder
from detnas_d2.data.voc import register_voc_folder
from detnas_d2.engine.fingerprint import dataset_hash
from projects.DetNAS.paper.voc_form import write_voc


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    root = write_digits(tmp_path_factory.mktemp("data") / "digits", DIGITS)
    write_voc(root)
    return root


def hash_of(form, root):
    if form == "coco":
        register_coco("it", root / "annotations/instances_val.json", root / "JPEGImages")
    elif form == "folder":
        register_image_folder("it", root / "cls", "val")
    else:
        register_voc_folder("it", root, "val", ("zero", "one"), 2012 if form == "voc12" else 2007)
    try:
        return dataset_hash("it")
    finally:
        unregister_dataset("it")


def replace_in(file, old, new):
    def change(root):
        path = root / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def swap_labels(root):
    (root / "cls/val/zero/00000.png").rename(root / "cls/val/one/9.png")
    (root / "cls/val/one/00000.png").rename(root / "cls/val/zero/00000.png")


def remove(file):
    return lambda root: (root / file).unlink()


VAL, TRAIN = ("annotations/instances_val.json", "annotations/instances_train.json")


@pytest.mark.parametrize(
    ("form", "change", "is_other"),
    [
        ("coco", replace_in(VAL, '"bbox": [', '"bbox": [1'), True),
        ("voc", replace_in("Annotations/val_00002.xml", "<xmin>", "<xmin>1"), True),
        ("voc", replace_in("ImageSets/Main/val.txt", "00000\nval_00001", "00001\nval_00000"), True),
        ("folder", swap_labels, True),
        ("folder", remove("cls/val/one/00001.png"), True),
        # other splits do not matter
        ("coco", replace_in(TRAIN, "categories", "Categories"), False),
        ("voc", replace_in("Annotations/train_00000.xml", "<xmin>", "<xmin>1"), False),
        ("folder", remove("cls/train/one/00001.png"), False),
    ],
)
def test_another_set_has_another_hash(digits, tmp_path, form, change, is_other):
    shutil.copytree(digits, tmp_path / "copy")
    change(tmp_path / "copy")
    assert (hash_of(form, digits) != hash_of(form, tmp_path / "copy")) == is_other


def test_voc_metrics_of_two_years_are_two_sets(digits):
    assert hash_of("voc", digits) != hash_of("voc12", digits)


def test_a_set_of_someones_own_function():
    def hash_of(**change):
        box = {"bbox": np.arange(4.0), "mask": b"\x01"}
        record = {"file_name": "/a/b.png", "image_id": 3, "annotations": [box], **change}
        DatasetCatalog.register("own", lambda: [record])
        try:
            return dataset_hash("own")
        finally:
            DatasetCatalog.remove("own")

    assert hash_of() == hash_of(file_name="/c/b.png")
    big = np.zeros(2000)
    changed = [{"file_name": "/a/c.png"}, {"image_id": 4}, {"annotations": []}, {"big": big}]
    big_too = {"big": np.where(np.arange(2000) == 1000, 1.0, big)}
    assert len({hash_of(), *(hash_of(**c) for c in [*changed, big_too])}) == 6
