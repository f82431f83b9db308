"""Registration: lazy, the same on every version; what is missing is named before anything runs."""

from __future__ import annotations

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from detnas_d2.data import (
    DataError,
    MissingDatasetError,
    missing_datasets,
    register_coco,
    register_dataset,
    unregister_dataset,
)


@pytest.mark.parametrize(
    ("name", "path", "contents"),
    [
        ("imagenet_train", "imagenet/train", "train/<class>/*.JPEG"),
        ("digits_train", "digits/made_by_detnas.json", "make_digits demo "),
        ("digits_cls_val", "digits/made_by_detnas.json", "make_digits demo "),
        ("bccd_boxes_val", "bccd_boxes/made_by_detnas.json", "write_bccd_boxes"),
    ],
)
def test_missing_built_in_sets(tmp_path, datasets, name, path, contents):
    datasets(tmp_path)
    (missing,) = missing_datasets(name)
    assert (missing.name, missing.path) == (name, tmp_path / path)
    assert contents in missing.contents
    with pytest.raises(MissingDatasetError) as error:
        DatasetCatalog.get(name)
    for part in (str(tmp_path / path), contents, "export DETECTRON2_DATASETS="):
        assert part in str(error.value)
    with pytest.raises(DataError, match="'bccd_trian'.* Did you mean .*bccd_train"):
        missing_datasets(["bccd_trian"])


def test_what_detectron2s_sets_lack_is_found_one_by_one(tmp_path):
    """A VOC and a COCO folder under names that Detectron2, not we, registered."""
    root = tmp_path / "VOC2007"
    DatasetCatalog.register("theirs_voc", list)
    MetadataCatalog.get("theirs_voc").set(dirname=str(root), split="test", year=2007)
    DatasetCatalog.register("theirs_coco", list)
    MetadataCatalog.get("theirs_coco").set(
        json_file=str(tmp_path / "a.json"), image_root=str(tmp_path / "images")
    )
    try:
        voc = [root / p for p in (".", "Annotations", "ImageSets/Main/test.txt", "JPEGImages")]
        coco = [tmp_path / "images", tmp_path / "a.json"]
        for name, paths in (("theirs_voc", voc), ("theirs_coco", coco)):
            for path in paths:
                assert missing_datasets([name])[0].path == path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch() if path.suffix else path.mkdir()
            assert missing_datasets(name) == []
    finally:
        unregister_dataset("theirs_voc")
        unregister_dataset("theirs_coco")


def test_registering_again(tmp_path):
    a, b = tmp_path / "a.json", tmp_path / "b.json"

    def registered():
        return MetadataCatalog.get("toy").json_file

    try:
        register_coco("toy", b, tmp_path, builtin={})
        register_coco("toy", a, tmp_path)  # what is built in gives way
        assert registered() == str(a)
        register_coco("toy", str(a), str(tmp_path))  # equal: nothing to do
        register_coco("toy", b, tmp_path, builtin={})  # gives way
        with pytest.raises(DataError, match=r"'toy' is already registered with .*a\.json.*b\.json"):
            register_coco("toy", b, tmp_path)
        assert registered() == str(a)
    finally:
        unregister_dataset("toy")
    with pytest.raises(DataError, match="'coco_2017_train' is already registered by other code"):
        register_dataset("coco_2017_train", list)
