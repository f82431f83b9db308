"""Class names and category ids of registered data sets."""

from __future__ import annotations

import pytest
from detectron2.config import LazyCall as L
from detectron2.config import LazyConfig
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


@pytest.fixture
def forgotten():
    yield
    for name in {"any_coco", "any_voc"} & set(DatasetCatalog.list()):
        unregister_dataset(name)


def test_a_class_may_be_called_anything(tmp_path, forgotten):
    """Also after a run's config.yaml was written and read, and so may be a path."""
    folder = r"${oc.env:HOME}\${x} ??? ${"
    cfg = OmegaConf.create(
        {
            "datasets": {
                "a": L(register_coco)(
                    name="any_coco",
                    json_file=plain_path(f"{folder}/a.json"),
                    image_root=plain_path("???"),
                    class_names=names_as_text(NAMES),
                ),
                "b": L(register_voc_folder)(
                    name="any_voc", dirname="d", split="s", class_names=names_as_text(NAMES)
                ),
            }
        },
        flags={"allow_objects": True},
    )
    for _ in range(2):
        LazyConfig.save(cfg, str(tmp_path / "config.yaml"))
        cfg = load_config(str(tmp_path / "config.yaml"))
        for name in ("any_coco", "any_voc"):
            assert MetadataCatalog.get(name).thing_classes == NAMES
        assert [c["name"] for c in categories_of(["any_voc"])] == NAMES
        assert MetadataCatalog.get("any_coco").json_file == f"{folder}/a.json"
        assert MetadataCatalog.get("any_coco").image_root == "???"
        for name in ("any_coco", "any_voc"):
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
