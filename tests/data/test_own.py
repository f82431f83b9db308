"""A user's data in every form becomes three COCO files, once; what can't be used is said first."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from data_to_check import boxes_of
from own_images import write_tiny_data

from detnas_d2.data import DataError
from detnas_d2.data.atomic import locked
from detnas_d2.data.check.__main__ import main as check
from detnas_d2.data.own import prepare


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The working directory: "My Bilder ü/all.json" and its 12 images."""
    monkeypatch.chdir(tmp_path)
    return write_tiny_data(tmp_path / "My Bilder ü")


def own(data, images=None, name="mine"):
    return prepare(str(data), str(data.parent) if images is None else str(images), name)


def boxes(*files):
    return sorted(box for file in files for box in boxes_of(Path(file)))


def read(file):
    return json.loads(Path(file).read_text(encoding="utf-8"))


def pop_annotation(data):
    content = read(data)
    content["annotations"].pop()
    data.write_text(json.dumps(content), encoding="utf-8")
    return data.parent, "made of .*the annotations have changed.*another name.*remove output/mine"


def test_one_file_is_dealt_out_once(data):
    made = own(data)
    parts = {part: read(file) for part, file in made.files.items()}
    assert {part: len(content["images"]) for part, content in parts.items()} == made.images
    assert sum(made.images.values()) == 12 and min(made.images.values()) >= 1
    assert boxes(*made.files.values()) == boxes(data)
    assert made.class_names == ["square", "bar"] and made.short_edge == 64

    before = {file: Path(file).stat().st_mtime_ns for file in made.files.values()}
    assert own(data) == made
    assert {file: Path(file).stat().st_mtime_ns for file in before} == before
    assert own(data, name="again").images == made.images
    again = {part: read(f"output/again/data/{part}.json") for part in parts}
    assert again == parts  # the seed decides


def copy_images(data):
    shutil.copytree(data.parent, "copy")
    return Path(
        "copy"
    ), "images in .*copy: .*settings.py names others now.*another name.*remove output/mine"


@pytest.mark.parametrize("change_", [pop_annotation, copy_images])
def test_data_are_made_anew_until_something_is_trained(data, change_):
    own(data)
    for name in ("estimate.json", "random_architecture.json"):
        Path("output/mine", name).write_text("{}")
    images, message = change_(data)
    made = own(data, images)
    assert Path(made.image_root) == images.resolve()
    assert boxes(*made.files.values()) == boxes(data)
    assert {p.name for p in Path("output/mine").glob("[!.]*")} == {"data", "data.json"}
    assert own(data, images) == made

    Path("output/mine/step2_supernet").mkdir()
    assert own(data, images) == made
    if change_ is pop_annotation:
        pop_annotation(data)
    with pytest.raises(DataError, match=message):
        own(data, data.parent)


def damaged(text):
    return lambda record: record.write_text(text)


def of_an_older_version(record):
    content = read(record)
    del content["made_of"]["annotations"]
    record.write_text(json.dumps(content))


def without_its_folder(record):
    shutil.rmtree(record.with_suffix(""))


@pytest.mark.parametrize(
    "harm",
    [Path.unlink, damaged("{"), damaged("[]"), of_an_older_version, without_its_folder],
)
def test_the_record_cannot_be_read_or_the_folder_is_gone(data, harm):
    """Of the trained steps nothing is known then but that they are there."""
    made = own(data)
    record = Path("output/mine/data.json")
    harm(record)
    assert own(data) == made
    Path("output/mine/step2_supernet").mkdir()
    pop_annotation(data)
    harm(record)
    with pytest.raises(DataError, match="another name.*remove output/mine"):
        own(data)


def test_a_second_run_waits_for_the_first(data):
    """And removes nothing of what that has made."""
    with ThreadPoolExecutor() as pool:
        with locked(Path("output/mine/.own.lock")):
            second = pool.submit(own, data)
            with pytest.raises(TimeoutError):
                second.result(1)
            assert not Path("output/mine/data").exists()
        assert own(data) == second.result()


def test_a_part_without_a_box_is_refused(data, capsys):
    """Boxes in two of twelve images are too few for three parts."""
    content = read(data)
    content["annotations"] = content["annotations"][:2]
    data.write_text(json.dumps(content))
    with pytest.raises(DataError, match="too few .* test would have no usable box .2 have one"):
        own(data)
    assert check([str(data)]) == 1 and "Training cannot use the data" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="would have no usable box"):
        check([str(data), "--split", "out"])
    assert not Path("out").exists()


def test_given_splits_are_kept(data):
    made = own(data)
    given = data.parent / "splits"
    given.mkdir()
    for part, name in (("train", "train"), ("val", "valid"), ("test", "test")):
        shutil.copy(made.files[part], given / f"{name}.json")
    kept = prepare(str(given), made.image_root, "kept")
    assert kept.images == made.images
    for part in ("train", "val", "test"):
        assert boxes(kept.files[part]) == boxes(made.files[part])
    (given / "test.json").unlink()
    with pytest.raises(DataError, match="splits train, valid; expected"):
        prepare(str(given), made.image_root, "two")


def test_data_that_cannot_be_used(data):
    cases = [
        ((str(data), "output", "mine"), "none of 12 images.*Correct annotations or images"),
        ((str(data.parent / "1.png"), "", "mine"), "can't be used"),
    ]
    for settings, message in cases:
        with pytest.raises(DataError, match="(?s)" + message):
            prepare(*settings)
    assert not list(Path("output").glob("*/[!.]*"))
