"""Class names and category ids of registered data sets."""

from __future__ import annotations

import pytest
from detectron2.config import LazyCall as L
from detectron2.data import DatasetCatalog, MetadataCatalog
from omegaconf import OmegaConf

from detnas_d2.data import (
    DataError,
    categories_of,
    names_as_text,
    register_coco,
    register_from_config,
    register_voc_folder,
    unregister_dataset,
)
from detnas_d2.engine import load_config, plain_path

NAMES = ["cup", "???", "${x}", "${", r"\${a}", r"a\\${b}", "$", '"q"', "[]", "null", " ", "行\n"]


def test_ids_are_those_of_the_annotations_or_count_from_one():
    names = coco, voc, none = ("categories_coco", "categories_voc", "categories_none")
    for name in names:
        DatasetCatalog.register(name, list)
    try:
        MetadataCatalog.get(coco).set(
            thing_classes=["cat", "dog"], thing_dataset_id_to_contiguous_id={17: 0, 3: 1}
        )
        MetadataCatalog.get(voc).set(thing_classes=["cat", "dog"])
        cat, dog = {"id": 17, "name": "cat"}, {"id": 3, "name": "dog"}
        assert categories_of([none, coco, voc]) == [cat, dog]
        assert categories_of([voc]) == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        assert categories_of([none, "not registered"]) == []
        assert "not registered" not in MetadataCatalog.list()
        assert len(categories_of(["coco_2017_train"])) == 80  # without its files
    finally:
        for name in names:
            DatasetCatalog.remove(name)
            MetadataCatalog.remove(name)


def test_a_class_may_be_called_anything():
    """And a path; through a run's config.yaml too: tests/integration/test_custom.py."""
    names, folder = names_as_text(NAMES), r"${oc.env:HOME}\${x} ??? ${"
    coco, voc = "any_coco", "any_voc"
    files = {"json_file": plain_path(f"{folder}/a.json"), "image_root": plain_path("???")}
    nodes = {
        "a": L(register_coco)(name=coco, class_names=names, **files),
        "b": L(register_voc_folder)(name=voc, dirname="d", split="s", class_names=names),
    }
    try:
        register_from_config(OmegaConf.create(nodes, flags={"allow_objects": True}))
        assert MetadataCatalog.get(voc).thing_classes == NAMES
        assert [c["name"] for c in categories_of([coco])] == NAMES
        assert MetadataCatalog.get(coco).json_file == f"{folder}/a.json"
        assert MetadataCatalog.get(coco).image_root == "???"
    finally:
        for name in {coco, voc} & set(DatasetCatalog.list()):
            unregister_dataset(name)


def test_lists_that_are_none_and_names_that_a_config_reads_otherwise(tmp_path):
    for text in ("cup", "{", "[1]", '{"a": 1}'):
        node = L(register_coco)(name="n", json_file="a", image_root="b", class_names=text)
        with pytest.raises(DataError, match="class_names is the text .* expected a list of names"):
            register_from_config({"a": node})
    node = {"_target_": register_coco, "name": "x", "json_file": "a", "image_root": "b"}
    for bad, message in (
        ({"name": "x"}, r"expected L\(register_coco\)"),
        ("text", r"expected L\(register_coco\)"),
        ({**node, "surplus": 1}, ".*surplus"),
    ):
        with pytest.raises(DataError, match=f"datasets.a: {message}"):
            register_from_config({"a": bad})
    register_from_config(None)
    file = tmp_path / "config.py"
    file.write_text(
        "from detectron2.config import LazyCall as L\nfrom detnas_d2.data import register_coco\n"
        "datasets = dict(a=L(register_coco)(name='by_hand', json_file='a', image_root='b', "
        "class_names=['cup', '???']))\n"
    )
    with pytest.raises(DataError, match=r"(?s)datasets.a: .*class_names='\[\"cup\", \"\?\?\?\"\]'"):
        load_config(str(file))
    assert "by_hand" not in DatasetCatalog
