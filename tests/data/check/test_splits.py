"""New splits: shares of rare classes, copies together, the same bytes, nothing overwritten."""

from __future__ import annotations

import collections
import json
import shutil

import numpy as np
import pytest
from data_to_check import boxes_of, make_coco, make_voc

from detnas_d2.data import DataError
from detnas_d2.data.check.__main__ import main
from detnas_d2.data.check.stratify import assign

FRACTIONS = (0.7, 0.15, 0.15)


def parts_of(labels, label, parts):
    return sorted(p for of, p in zip(labels, parts, strict=True) if label in of)


@pytest.mark.parametrize("seed", range(2))
def test_every_part_has_its_share_of_every_class(seed):
    rng = np.random.default_rng(seed)
    chances = {"often": 0.9, "half": 0.5, "seldom": 0.1, "rare": 0.02}
    labels = [{name for name, p in chances.items() if rng.random() < p} for _ in range(1000)]
    parts = assign(labels, [1] * 1000, FRACTIONS, seed)
    assert collections.Counter(parts) == {0: 700, 1: 150, 2: 150}
    for name in chances:
        found = collections.Counter(parts_of(labels, name, parts))
        for part, fraction in enumerate(FRACTIONS):
            assert abs(found[part] - fraction * sum(found.values())) <= 2


@pytest.mark.parametrize(
    ("images", "expected"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (4, [0, 0, 1, 2])]
)
def test_a_rare_class_is_in_as_many_parts_as_it_can(images, expected):
    labels = [{"often", "rare"} if i < images else {"often"} for i in range(50)]
    parts = assign(labels, [1] * 50, FRACTIONS, 0)
    assert parts_of(labels, "rare", parts) == expected
    parts = assign([{"a"}] * 11, [10, *[1] * 10], (0.5, 0.5), 3)  # groups count by their size
    assert parts[1:].count(parts[0]) <= 2


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "fractions", [(1.0,), (0.5, 0.6), (1.0, 0.0), (NAN, 0.5, 0.5), (INF, 0.5), (1.5, -0.5)]
)
def test_fractions_that_are_none(fractions):
    with pytest.raises(DataError, match="--fractions"):
        assign([{"a"}] * 20, [1] * 20, fractions, 0)


def contents(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    """Every box goes with its image; VOC folders become COCO files."""
    file = make_coco(tmp_path / "coco", 20)
    content = json.loads(file.read_text())
    outs = [tmp_path / name for name in ("a", "b", "c")]
    main([str(file), "--split", str(outs[0])])
    content["images"].reverse()  # nor does the order count
    file.write_text(json.dumps(content))
    main([str(file), "--split", str(outs[1])])
    main([str(file), "--split", str(outs[2]), "--seed", "1"])
    first, second, third = map(contents, outs)
    assert first == second
    assert first["train.json"] != third["train.json"]
    dealt = [json.loads(first[f"{p}.json"])["images"] for p in ("train", "val", "test")]
    assert [len(images) for images in dealt] == [14, 3, 3]
    names = [image["file_name"] for images in dealt for image in images]
    assert sorted(names) == sorted(image["file_name"] for image in content["images"])
    written = [outs[0] / f"{part}.json" for part in ("train", "val", "test")]
    assert sorted(box for f in written for box in boxes_of(f)) == boxes_of(file)
    for part in (json.loads(f.read_text()) for f in written):
        numbers = range(1, len(part["annotations"]) + 1)
        assert [a["id"] for a in part["annotations"]] == list(numbers)
    folder = make_voc(tmp_path / "voc", {"train": list("abcdef"), "val": list("ghij")})
    main([str(folder), "--split", str(tmp_path / "out")])
    found = boxes_of(tmp_path / "out" / "train.json")
    assert {box[1:] for box in found} == {("cell", 4.0, 5.0, 20.0, 10.0, 200.0)}
    assert len(found) == 7


def test_nothing_else_is_overwritten(coco, tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "train.json").write_text("mine")
    with pytest.raises(SystemExit, match="was not made by this command"):
        main([str(coco), "--split", str(out)])
    assert contents(out) == {"train.json": b"mine"}
    arguments = [str(coco), "--split", str(tmp_path / "out"), "--fractions", "0.5", "0.5"]
    assert main(arguments) == 0
    before = contents(tmp_path / "out")
    assert main(arguments) == 0  # the same again is no harm
    with pytest.raises(SystemExit, match="other parameters"):
        main([*arguments, "--seed", "7"])
    assert contents(tmp_path / "out") == before


def test_copies_stay_together(tmp_path):
    file = make_coco(tmp_path / "coco", 30)
    for i in range(0, 30, 3):
        for copy in (i + 1, i + 2):
            shutil.copy(tmp_path / f"coco/photos/{i}.jpg", tmp_path / f"coco/photos/{copy}.jpg")
    main([str(file), "--split", str(tmp_path / "out")])
    for part in ("train", "val", "test"):
        images = json.loads((tmp_path / "out" / f"{part}.json").read_text())["images"]
        found = collections.Counter(int(image["file_name"][:-4]) // 3 for image in images)
        assert images
        assert set(found.values()) == {3}


def test_splits_in_folders_of_their_own_are_joined(tmp_path, check):
    """As Roboflow exports them; class ids differ, and so do the folders."""
    for part in ("train", "valid"):
        file = make_coco(tmp_path / "export" / part, 6)
        content = json.loads(file.read_text())
        if part == "valid":
            content["categories"] = [{"id": 1, "name": "dot"}, {"id": 2, "name": "cell"}]
        file.with_name("_annotations.coco.json").write_text(json.dumps(content))
        file.unlink()
        for image in (file.parent / "photos").iterdir():
            with open(image, "ab") as stream:
                stream.write(part.encode())
            image.rename(file.parent / image.name)
    status, report = check(tmp_path / "export")
    assert status == 0
    assert [split["name"] for split in report["splits"]] == ["train", "valid"]
    assert "classes-differ" in {f["code"] for f in report["findings"]}
    status, report = check(tmp_path / "export", "--split", tmp_path / "out")
    assert (status, report["written"]["image_folder"]) == (0, str(tmp_path / "export"))
    classes = collections.Counter(
        box[1]
        for part in ("train", "val", "test")
        for box in boxes_of(tmp_path / f"out/{part}.json")
    )
    assert classes == {"cell": 6 + 3, "dot": 3 + 6}  # 6 and, called otherwise, 3


def test_what_is_left_out_is_listed(coco, tmp_path, check, capsys):
    content = json.loads(coco.read_text())
    content["annotations"][0]["bbox"] = [0, 0, 0, 0]
    coco.write_text(json.dumps(content))
    (coco.parent / "photos" / "3.jpg").unlink()
    out = tmp_path / "out"
    _, report = check(coco, "--split", out, "--fractions", 0.7, 0.3)
    left_out = json.loads((out / "left_out.json").read_text())
    assert left_out == report["written"]["left_out"]
    boxes = ["train: 0.jpg: [0, 0, 0, 0] (without area)"]
    assert list(left_out.values()) == [["train: 3.jpg is missing"], boxes]
    printed = capsys.readouterr().out
    assert "left out: images that are missing, damaged or badly annotated: 1" in printed
    assert str(out / "left_out.json") in printed
    assert not (out / "test.json").exists()


def test_new_splits_find_their_images_from_anywhere(tmp_path, check):
    coco = make_coco(tmp_path / "deep" / "down" / "coco", 20)
    out = tmp_path / "elsewhere" / "far" / "out"
    check(coco, "--split", out)
    status, report = check(out)
    assert status == 0
    assert [split["name"] for split in report["splits"]] == ["train", "val", "test"]
    shutil.move(tmp_path / "deep", tmp_path / "moved")
    assert check(out)[0] == 1
    assert check(out, "--images", tmp_path / "moved" / "down" / "coco" / "photos")[0] == 0
