"""Which splits paths name, where their images are looked for, and what the command says."""

from __future__ import annotations

import json

import pytest
from data_to_check import make_coco, make_voc

from detnas_d2.data.check.__main__ import main


@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/train.json", "images/train"),
        ("labels.json", "images"),
        ("a/result.json", "somewhere"),
        ("train.json", "."),
    ],
)
def test_the_image_folder_is_guessed(tmp_path, check, file, images):
    source = make_coco(tmp_path / "source", 3)
    target, folder = tmp_path / "data" / file, tmp_path / "data" / images
    for path in (target.parent, folder, tmp_path / "data" / "empty"):
        path.mkdir(parents=True, exist_ok=True)
    for image in (source.parent / "photos").iterdir():
        image.rename(folder / image.name)
    source.rename(target)
    status, report = check(target)
    (split,) = report["splits"]
    assert status == 0
    assert (tmp_path / split["image_folder"]).resolve() == folder.resolve()
    assert split["image_folder_found"].startswith("guessed: it has 3 of 3")


def test_a_path_relative_to_here(tmp_path, check, monkeypatch):
    make_coco(tmp_path / "a")
    (tmp_path / "a" / "photos").rename(tmp_path / "photos")
    monkeypatch.chdir(tmp_path / "a")
    assert check("train.json")[0] == 0


def test_voc_sets(tmp_path, check):
    sets = {"train": ["a", "b"], "val": ["c"], "trainval": ["a", "b", "c"]}
    folder = make_voc(tmp_path / "voc", sets)
    lists = folder / "ImageSets" / "Main"
    (lists / "cell_train.txt").write_text("a 1\nb -1\n")
    status, report = check(folder)
    assert status == 0
    assert [(s["name"], s["images"]) for s in report["splits"]] == [("train", 2), ("val", 1)]
    (skipped,) = (f for f in report["findings"] if f["code"] == "skipped")
    assert skipped["places"]["voc"] == [
        f"{lists}/cell_train.txt (more than one column)",
        "trainval.txt (train and val together)",
    ]
    for file in lists.iterdir():
        file.unlink()
    splits = check(folder)[1]["splits"]  # without sets, all images are one
    assert [(s["name"], s["images"]) for s in splits] == [("voc", 3)]


def test_cocos_own_folder(tmp_path, check):
    make_coco(tmp_path / "coco")
    (tmp_path / "coco" / "annotations").mkdir()
    annotations = tmp_path / "coco" / "annotations"
    (tmp_path / "coco" / "train.json").rename(annotations / "instances_train2017.json")
    (annotations / "captions_train2017.json").write_text("{}")
    status, report = check(tmp_path / "coco")
    assert status == 0
    assert [split["name"] for split in report["splits"]] == ["train2017"]


@pytest.mark.parametrize(
    ("names", "order"),
    [
        ("latest train_coco val", "train_coco val latest"),
        ("pretrain Training Validation test2017", "Training Validation test2017 pretrain"),
        ("test trainval", "trainval test"),
    ],
)
def test_which_part_a_split_is(tmp_path, check, names, order):
    files = [make_coco(tmp_path / name).rename(tmp_path / f"{name}.json") for name in names.split()]
    folders = [tmp_path / name / "photos" for name in names.split()]
    splits = check(*files, "--images", *folders)[1]["splits"]
    assert [split["name"] for split in splits] == order.split()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("coco/trian.json", "Did you mean .*train.json"),
        ("x/y.json", "Nor is the folder"),
        ("coco/train.json --images phots", "no such folder"),
        ("coco/train.json --images coco/photos coco/photos", "2 folders for 1 paths"),
        ("nothing", "has no annotations: expected"),
        ("other", "no data set in"),
        (".", "give .*coco or .*voc/Annotations"),
        ("coco/train.json --json coco/train.json", "holds something else"),
        ("coco/train.json --seed 0", "belong to --split"),
        ("coco/train.json --fractions 0.5 0.5", "belong to --split"),
        ("coco/train.json --fast --split out", "leave --fast out"),
        ("coco/train.json --fa", "2"),  # options in full, of which the report proposes commands
    ],
)
def test_wrong_arguments_end_with_a_message(tmp_path, monkeypatch, arguments, message):
    make_coco(tmp_path / "coco")
    make_voc(tmp_path / "voc", {"train": ["a"]})
    (tmp_path / "nothing").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message):
        main(arguments.split())


def test_the_command_reports_and_says_what_to_do(tmp_path, capsys):
    coco = make_coco(tmp_path / "coco", 12)
    content = json.loads(coco.read_text())
    content["annotations"][1]["category_id"] = 9
    coco.write_text(json.dumps(content))
    (coco.parent / "photos" / "0.jpg").unlink()
    assert main([str(coco)]) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert [line for line in lines if line.startswith(("ERR", "WARN", "LEFT", "MEND"))] == [
        "LEFT OUT: images that are missing, damaged or badly annotated: 1 in train",
        "LEFT OUT: boxes that are incomplete, of unknown classes or there twice: 1 in train",
    ]
    assert "    0.jpg is missing" in lines
    assert any("category_id is 9" in line for line in lines)
    assert "configs/custom leaves out and mends what is listed above" in printed
    assert lines[-2:] == [f"  annotations = {str(coco)!r}", "  images = ''"]
