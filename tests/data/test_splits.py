"""The search's images are split off by image id: disjoint, complete, the same bytes each time."""

from __future__ import annotations

import json
import random

import pytest
from data_to_check import run_the_command_of
from detectron2.data import DatasetCatalog, MetadataCatalog

from detnas_d2.data import DataError, MissingDatasetError, missing_datasets
from detnas_d2.data.splits import main, search_ids, write_splits

IDS = [7 * i for i in range(100)]


def coco(count: int = 20) -> dict:
    """Two boxes an image, one of the images without any."""
    return {
        "info": {"year": 2017},
        "images": [
            {"id": i, "file_name": f"{i:012}.jpg", "width": 40, "height": 30} for i in range(count)
        ],
        "annotations": [
            {"id": 2 * i + j, "image_id": i, "category_id": 3, "bbox": [1, 2, 10, 9], "iscrowd": 0}
            for i in range(1, count)
            for j in range(2)
        ],
        "categories": [{"id": 3, "name": "car"}, {"id": 5, "name": "plane"}],
    }


def test_a_function_of_ids_and_seed(tmp_path):
    """Both files are COCO's form, disjoint and complete, and each image has its boxes."""
    search = search_ids(IDS, 30, 0)
    assert len(search) == 30 and search < set(IDS)
    assert search_ids(random.Random(0).sample(IDS, len(IDS)), 30, 0) == search
    assert search_ids(IDS, 30, 1) != search
    # the same images in every version of this project, for results to be comparable
    assert sorted(search)[:5] == [7, 21, 28, 35, 63]

    content, source = coco(), tmp_path / "instances_train2017.json"
    source.write_text(json.dumps(content))
    files = write_splits(source, tmp_path / "new" / "out", 6, seed=3)
    searched = search_ids(range(20), 6, 3)
    for part, wanted in (("search", searched), ("supernet", set(range(20)) - searched)):
        assert files[part] == tmp_path / f"new/out/instances_{part}.json"
        half = json.loads(files[part].read_text())
        assert half["images"] == [x for x in content["images"] if x["id"] in wanted]
        assert half["annotations"] == [x for x in content["annotations"] if x["image_id"] in wanted]
        assert half["categories"] == content["categories"] and half["info"] == content["info"]
    again = write_splits(source, tmp_path / "again", 6, seed=3)
    assert all(again[k].read_bytes() == f.read_bytes() for k, f in files.items())


@pytest.mark.parametrize(
    ("ids", "count", "message"),
    [
        (IDS[:9], 9, "search_images is 9; of 9 images, 1 to 8"),
        (IDS[:9], 0, "search_images is 0"),
        ([0, 7, 14, 7], 1, "4 images have 3 different image ids"),
        ([0, 7, "7"], 1, "all integers or all texts"),
    ],
)
def test_refused(ids, count, message):
    with pytest.raises(DataError, match=message):
        search_ids(ids, count, 0)


@pytest.mark.parametrize(
    "text", [None, "{", '{"images": []}', '{"images": [{}], "annotations": []}']
)
def test_unreadable_annotations(tmp_path, text):
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit, match=r"splits: .*a\.json can't be read as a COCO JSON file"):
        main([str(path), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_the_command_of_the_error_makes_the_data_sets(tmp_path, datasets, capsys):
    """Without the files, the error names the command; that command makes both sets loadable."""
    datasets(tmp_path)
    names = ["coco_2017_detnas_supernet", "coco_2017_detnas_search"]
    assert {m.path for m in missing_datasets(names)} == {tmp_path / "coco" / "train2017"}
    (tmp_path / "coco" / "train2017").mkdir(parents=True)
    annotations = tmp_path / "coco" / "annotations"
    annotations.mkdir()
    content = coco(30)
    (annotations / "instances_train2017.json").write_text(json.dumps(content))
    for image in content["images"]:
        (tmp_path / "coco" / "train2017" / image["file_name"]).touch()
    with pytest.raises(MissingDatasetError) as error:
        DatasetCatalog.get("coco_2017_detnas_search")
    assert str(annotations / "instances_search.json") in str(error.value)
    run_the_command_of(error.value, main, ("--search-images 5000", "--search-images 20"))
    printed = capsys.readouterr().out
    assert "search: 20 images" in printed and "supernet: 10 images" in printed

    assert missing_datasets(names) == []
    supernet, search = (DatasetCatalog.get(name) for name in names)
    assert (len(supernet), len(search)) == (10, 20)
    assert not {r["image_id"] for r in supernet} & {r["image_id"] for r in search}
    metadata = MetadataCatalog.get("coco_2017_detnas_search")
    assert metadata.thing_classes == ["car", "plane"]
    assert metadata.json_file == str(annotations / "instances_search.json")
    assert metadata.evaluator_type == "coco"
