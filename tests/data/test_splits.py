"""The search's images are split off by image id: disjoint, complete, the same bytes each time."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from detnas_d2.data import (
    DataError,
    MissingDatasetError,
    missing_datasets,
    register_builtin_datasets,
)
from detnas_d2.data.splits import main, split_images, write_splits


def records(count: int) -> list[dict]:
    return [{"image_id": 7 * i, "file_name": f"{i}.jpg"} for i in range(count)]


def ids(dataset: list[dict]) -> list[int]:
    return [r["image_id"] for r in dataset]


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


def test_parts_are_disjoint_and_complete():
    dataset = records(100)
    search = ids(split_images(dataset, "search", 30))
    supernet = ids(split_images(dataset, "supernet", 30))
    assert (len(search), len(supernet)) == (30, 70)
    assert sorted(search + supernet) == ids(dataset)
    assert search == sorted(search)  # in the order of the data set


def test_a_function_of_ids_and_seed():
    dataset = records(100)
    shuffled = random.Random(0).sample(dataset, len(dataset))
    search = ids(split_images(dataset, "search", 30))
    assert sorted(ids(split_images(shuffled, "search", 30))) == search
    assert ids(split_images(shuffled, "search", 30)) != search  # each keeps its own order
    assert ids(split_images(dataset, "search", 30, seed=1)) != search
    assert ids(split_images(dataset, "search", 30, seed=0)) == search
    # the same images in every version of this project, for results to be comparable
    assert search[:5] == [7, 21, 28, 35, 63]


def test_every_image_is_as_likely():
    """Over 200 seeds, each of 20 images is drawn about 50 times (5 of 20): within 5 sigma."""
    counts = dict.fromkeys(ids(records(20)), 0)
    for seed in range(200):
        for i in ids(split_images(records(20), "search", 5, seed)):
            counts[i] += 1
    sigma = (200 * 0.25 * 0.75) ** 0.5
    assert all(abs(n - 50) < 5 * sigma for n in counts.values())


@pytest.mark.parametrize(
    ("dataset", "part", "count", "message"),
    [
        (records(9), "train", 3, "part is 'train'; expected 'supernet' or 'search'"),
        (records(9), "search", 9, "search_images is 9; of 9 images, 1 to 8"),
        (records(9), "search", 0, "search_images is 0"),
        ([*records(3), {"image_id": 7}], "search", 1, "4 images have 3 different image ids"),
        ([*records(3), {"image_id": "7"}], "search", 1, "all integers or all texts"),
        ([{"file_name": "a.jpg"}], "search", 1, "needs an 'image_id'"),
    ],
)
def test_refused(dataset, part, count, message):
    with pytest.raises(DataError, match=message):
        split_images(dataset, part, count)


def test_files(tmp_path):
    """Both files are COCO's form, with the images of `split_images` and exactly their boxes."""
    content = coco()
    source = tmp_path / "instances_train2017.json"
    source.write_text(json.dumps(content))
    files = write_splits(source, tmp_path / "new" / "out", 6, seed=3)
    assert {k: f.name for k, f in files.items()} == {
        "supernet": "instances_supernet.json",
        "search": "instances_search.json",
    }
    dataset = [{"image_id": image["id"]} for image in content["images"]]
    for part, file in files.items():
        half = json.loads(file.read_text())
        wanted = set(ids(split_images(dataset, part, 6, seed=3)))
        assert half["images"] == [x for x in content["images"] if x["id"] in wanted]
        assert half["annotations"] == [x for x in content["annotations"] if x["image_id"] in wanted]
        assert half["categories"] == content["categories"] and half["info"] == content["info"]
    again = write_splits(source, tmp_path / "again", 6, seed=3)
    assert all(again[k].read_bytes() == f.read_bytes() for k, f in files.items())
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == [
        "instances_search.json",
        "instances_supernet.json",
    ]


def test_a_kill_while_writing_leaves_the_former_file(tmp_path, monkeypatch):
    source = tmp_path / "a.json"
    source.write_text(json.dumps(coco()))
    before = {k: f.read_bytes() for k, f in write_splits(source, tmp_path, 6).items()}

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_splits(source, tmp_path, 7)
    for part, content in before.items():
        assert (tmp_path / f"instances_{part}.json").read_bytes() == content


@pytest.mark.parametrize(
    "text", [None, "{", "[]", '{"images": []}', '{"images": [{}], "annotations": []}']
)
def test_unreadable_annotations(tmp_path, text):
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit, match=r"splits: .*a\.json can't be read as a COCO JSON file"):
        main([str(path), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_the_command_of_the_error_makes_the_data_sets(tmp_path, monkeypatch):
    """Without the files, the error names the command; that command makes both sets loadable."""
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    register_builtin_datasets()
    names = ["coco_2017_detnas_supernet", "coco_2017_detnas_search"]
    try:
        assert {m.path for m in missing_datasets(names)} == {tmp_path / "coco" / "train2017"}
        (tmp_path / "coco" / "train2017").mkdir(parents=True)
        annotations = tmp_path / "coco" / "annotations"
        annotations.mkdir()
        (annotations / "instances_train2017.json").write_text(json.dumps(coco(5010)))
        with pytest.raises(MissingDatasetError) as error:
            DatasetCatalog.get("coco_2017_detnas_search")
        assert str(annotations / "instances_search.json") in str(error.value)
        (command,) = [x for x in str(error.value).splitlines() if "python -m" in x]
        words = command[command.index("python -m") :].split()
        done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True)
        assert done.returncode == 0 and "RuntimeWarning" not in done.stderr, done.stderr
        assert "search: 5000 images" in done.stdout and "supernet: 10 images" in done.stdout

        assert missing_datasets(names) == []
        supernet, search = (DatasetCatalog.get(name) for name in names)
        assert (len(supernet), len(search)) == (10, 5000)
        assert not set(ids(supernet)) & set(ids(search))
        metadata = MetadataCatalog.get("coco_2017_detnas_search")
        assert metadata.thing_classes == ["car", "plane"]
        assert metadata.json_file == str(annotations / "instances_search.json")
        assert metadata.evaluator_type == "coco"
    finally:
        monkeypatch.undo()
        register_builtin_datasets()
