"""Class names and category ids of registered data sets."""

from __future__ import annotations

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from detnas_d2.data import categories_of


@pytest.fixture
def catalog():
    names = ("categories_coco", "categories_voc", "categories_none")
    for name in names:
        DatasetCatalog.register(name, list)
    MetadataCatalog.get(names[0]).set(
        thing_classes=["cat", "dog"], thing_dataset_id_to_contiguous_id={17: 0, 3: 1}
    )
    MetadataCatalog.get(names[1]).set(thing_classes=["cat", "dog"])
    yield names
    for name in names:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def test_ids_are_those_of_the_annotations_or_count_from_one(catalog):
    coco, voc, none = catalog
    assert categories_of([none, coco, voc]) == [{"id": 17, "name": "cat"}, {"id": 3, "name": "dog"}]
    assert categories_of([voc]) == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]


def test_what_has_no_names(catalog):
    assert categories_of([catalog[2], "not registered"]) == []
    assert categories_of([]) == []
    assert "not registered" not in MetadataCatalog.list()


def test_detectron2s_coco_without_its_files():
    categories = categories_of(["coco_2017_train"])
    assert len(categories) == 80
    assert categories[0] == {"id": 1, "name": "person"} and categories[-1]["id"] == 90
