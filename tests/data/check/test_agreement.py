"""What training stops on, the check calls an error; what has no error, training takes."""

from __future__ import annotations

import copy
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from data_to_check import (
    VOC_XML,
    make_coco,
    make_voc,
    refusal_of_coco,
    refusal_of_voc,
)
from detectron2.structures import BoxMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detnas_d2.data import drop_damaged_boxes
from detnas_d2.data.check.dataset import Box, Image, check_box
from detnas_d2.data.check.findings import RULES, WHOLE_SPLITS, Findings


def first(key, **changes):
    """Changes the first entry of a list; None takes a key away."""

    def edit(content):
        for name, value in changes.items():
            content[key][0].pop(name, None)
            if value is not None:
                content[key][0][name] = value

    return edit


def every(key, **changes):
    return lambda content: [entry.update(changes) for entry in content[key]]


def put(key, value):
    return lambda content: content.update({key: value})


def append(key, like=0, **changes):
    return lambda content: content[key].append({**content[key][like], **changes})


def without(key):
    return lambda content: content.pop(key)


# what is done to the JSON file -> code of the finding (None: a clean report)
JSON_EDITS = {
    "nothing": (lambda content: None, None),
    "no images": (without("images"), "form"),
    "no annotations": (without("annotations"), "form"),
    "no categories": (without("categories"), "form"),
    "images empty": (put("images", []), "form"),
    "categories empty": (put("categories", []), "form"),
    "annotations empty": (put("annotations", []), "no-box"),
    "images an object": (lambda c: c.update(images={"0": c["images"][0]}), "form"),
    "image a text": (lambda c: c["images"].append("5.jpg"), "image-entry"),
    "image without id": (first("images", id=None), "image-entry"),
    "image without file name": (first("images", file_name=None), "image-entry"),
    "image with a number as name": (first("images", file_name=7), "image-entry"),
    "image without width": (first("images", width=None), "image-entry"),
    "image of width 64.0": (first("images", width=64.0), "image-entry"),
    "image of height 0": (first("images", height=0), "image-entry"),
    "image with a text as width": (first("images", width="64"), "image-entry"),
    "image of another size": (first("images", width=48, height=64), "image-size"),
    "image id a text": (first("images", id="a"), "image-entry"),
    "image id a list": (first("images", id=[1]), "image-entry"),
    "image ids all texts": (
        lambda c: [
            *[i.update(id=f"i{i['id']}") for i in c["images"]],
            *[a.update(image_id=f"i{a['image_id']}") for a in c["annotations"]],
        ],
        None,
    ),
    "image id of another": (first("images", id=3), "image-id-twice"),
    "image twice": (append("images", id=77), "image-twice"),
    "image missing": (first("images", file_name="other.jpg"), "image-missing"),
    "image with a null byte as name": (first("images", file_name="\0.jpg"), "image-missing"),
    "image with half a character as name": (first("images", file_name="\ud800"), "image-missing"),
    "category with half a character": (first("categories", name="\ud800"), None),
    "all images missing": (every("images", file_name="other.jpg"), "image-folder"),
    "category without id": (first("categories", id=None), "category-entry"),
    "category without name": (first("categories", name=None), "category-entry"),
    "category ids texts": (every("categories", id="a"), "category-entry"),
    "category id twice": (append("categories", name="third"), "category-entry"),
    "category name twice": (append("categories", id=3), "class-names"),
    "category name in capitals": (append("categories", id=3, name="CELL"), "class-names"),
    "category without box": (append("categories", id=3, name="third"), "class-empty"),
    "category ids with gaps": (append("categories", id=9, name="third"), "category-ids"),
    "annotation without id": (first("annotations", id=None), "annotation-entry"),
    "annotation without image": (first("annotations", image_id=None), "annotation-entry"),
    "annotation without category": (first("annotations", category_id=None), "annotation-entry"),
    "annotation a number": (lambda c: c["annotations"].append(5), "annotation-entry"),
    "annotation of no image": (first("annotations", image_id=99), "annotation-without-image"),
    "annotation of no image, nor a box": (
        first("annotations", image_id=99, bbox=[1, 2]),
        "box-form",
    ),
    "annotation of no image, nor a category": (
        first("annotations", image_id=99, category_id=9),
        "category-unknown",
    ),
    "annotation of no category": (first("annotations", category_id=99), "category-unknown"),
    "annotation id twice": (append("annotations"), "annotation-id-twice"),
    "box missing": (first("annotations", bbox=None), "box-form"),
    "box empty": (first("annotations", bbox=[]), "box-form"),
    "box of three": (first("annotations", bbox=[1, 2, 3]), "box-form"),
    "box of texts": (first("annotations", bbox=["1", "2", "3", "4"]), "box-form"),
    "box with null": (first("annotations", bbox=[1, 2, 3, None]), "box-form"),
    "box too large to count": (first("annotations", bbox=[1, 2, 3, 10**400]), "box-form"),
    "box an object": (first("annotations", bbox={"x": 1, "y": 1, "w": 4, "h": 4}), "box-form"),
    "box NaN": (first("annotations", bbox=[1, 2, math.nan, 4]), "box-not-finite"),
    "box infinite": (first("annotations", bbox=[1, 2, 4, math.inf]), "box-not-finite"),
    "box negative": (first("annotations", bbox=[30, 20, -9, 9]), "box-without-area"),
    "box of a pixel": (first("annotations", bbox=[30, 20, 1, 1]), "box-without-area"),
    "box outside": (first("annotations", bbox=[64, 20, 9, 9]), "box-outside"),
    "box partly outside": (first("annotations", bbox=[60, 20, 9, 9]), "box-partly-outside"),
    "all boxes outside": (every("annotations", bbox=[64, 20, 9, 9]), "no-box"),
    "all boxes crowds": (every("annotations", iscrowd=1), "no-box"),
    "crowd": (first("annotations", iscrowd=1), "crowd"),
    "crowd a text": (first("annotations", iscrowd="0"), "annotation-entry"),
    "ignore": (first("annotations", ignore=1), "annotation-entry"),
    "no area": (first("annotations", area=None), "area"),
    "area a text": (first("annotations", area="big"), "area"),
    "polygon": (first("annotations", segmentation=[[1, 1, 9, 1, 9, 9]]), None),
    "polygon of two points": (first("annotations", segmentation=[[1, 1, 9, 1]]), "polygon"),
    "polygon flat": (first("annotations", segmentation=[1, 1, 9, 1, 9, 9]), "segmentation-form"),
    "mask empty": (first("annotations", segmentation={}), None),
    "mask": (first("annotations", segmentation={"counts": [9, 9], "size": [3, 6]}), None),
    "mask without counts": (first("annotations", segmentation={"size": [9]}), "segmentation-form"),
    "mask without size": (first("annotations", segmentation={"counts": [9]}), "segmentation-form"),
    "keypoints": (first("annotations", keypoints=[1, 2, 2]), None),
    "keypoints texts": (first("annotations", keypoints=["a", 2, 2]), "segmentation-form"),
    "image without boxes": (append("images", id=77, file_name="extra.jpg"), "image-empty"),
}


def write_truncated(photos: Path) -> None:
    content = (photos / "0.jpg").read_bytes()
    (photos / "0.jpg").write_bytes(content[: len(content) // 2])


def write_turned(photos: Path, orientation: int = 6) -> None:
    image = PIL.Image.open(photos / "0.jpg")
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(photos / "0.jpg", exif=exif)


def write_deep(photos: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 2**16, (48, 64), dtype=np.uint16)
    PIL.Image.fromarray(pixels).save(photos / "0.jpg", "PNG")


FILE_EDITS = {
    "image truncated": (write_truncated, "image-damaged"),
    "image empty": (lambda photos: (photos / "0.jpg").write_bytes(b""), "image-damaged"),
    "image a text": (lambda photos: (photos / "0.jpg").write_text("no image"), "image-damaged"),
    "image a folder": (
        lambda photos: ((photos / "0.jpg").unlink(), (photos / "0.jpg").mkdir()),
        "image-missing",
    ),
    "image turned on its side": (write_turned, "image-size"),
    "image upside down": (lambda photos: write_turned(photos, 3), "image-turned"),
    "image of 16 bits": (write_deep, "image-deep"),
    "copy": (
        lambda photos: (photos / "0.jpg").write_bytes((photos / "1.jpg").read_bytes()),
        "same-bytes",
    ),
}


def codes(report: dict) -> set[str]:
    return {finding["code"] for finding in report["findings"]}


def agree(status: int, report: dict, code: str | None, refusal: Exception | None) -> None:
    assert codes(report) >= ({code} if code else set()), report["findings"]
    if code is None:
        assert codes(report) <= {"category-ids"}
    assert status == (1 if report["errors"] else 0)
    if code is not None and RULES[code].severity == 0:
        assert status == 1
    if status == 0:
        assert refusal is None
    if refusal is not None:
        assert status == 1, refusal


def mends(check, report: dict, *arguments: object) -> None:
    """New splits of what is usable have no error, and training takes them."""
    out = Path(arguments[0]).parent / "mended"
    halves = ("--split", out, "--fractions", 0.5, 0.5)
    if codes(report) & {*WHOLE_SPLITS, "no-box"}:
        with pytest.raises(SystemExit, match="No splits were written|no usable box"):
            check(*arguments, *halves)
        assert not out.exists()
        return
    status, report = check(*arguments, *halves)
    assert status == 0
    images = Path(report["written"]["image_folder"])
    status, report = check(out, "--images", images)
    assert status == 0, report["findings"]
    assert all(refusal_of_coco(out / f"{part}.json", images) is None for part in ("train", "val"))
    assert not codes(report) & {"box-not-finite", "box-without-area", "box-outside", "polygon"}


@pytest.mark.parametrize("name", JSON_EDITS)
def test_edited_json(coco, check, name):
    edit, code = JSON_EDITS[name]
    content = json.loads(coco.read_text())
    edit(content)
    coco.write_text(json.dumps(content))
    photos = coco.parent / "photos"
    (photos / "extra.jpg").write_bytes((photos / "0.jpg").read_bytes() + b" ")
    status, report = check(coco, "--images", photos)
    agree(status, report, code, refusal_of_coco(coco, photos))
    mends(check, report, coco, "--images", photos)


@pytest.mark.parametrize("name", FILE_EDITS)
def test_edited_images(coco, check, name):
    edit, code = FILE_EDITS[name]
    photos = coco.parent / "photos"
    edit(photos)
    status, report = check(coco)
    agree(status, report, code, refusal_of_coco(coco, photos))
    mends(check, report, coco)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_headers_alone_tell_how_an_image_is_turned(coco, check, orientation):
    write_turned(coco.parent / "photos", orientation)
    reports = [check(coco, *options)[1] for options in ((), ("--fast",))]
    assert reports[0]["findings"] == reports[1]["findings"]
    expected = {1: set(), 2: {"image-turned"}, 3: {"image-turned"}, 4: {"image-turned"}}
    assert codes(reports[1]) == expected.get(orientation, {"image-size"})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"images": [\n  {"id": 1},,\n]}', "line 2, column 13"),
        ("", "line 1, column 1"),
        ("\ufeff{}", "line 1, column 1"),
        ("[" * 100_000, "nested too deeply"),
        ('{"images": "\xff"}'.encode("latin-1"), "byte 12"),
        ("[]", "expected an object with 'images'"),
        ("null", "expected an object, got null"),
        ('{"image": [], "annotations": [], "categories": []}', "no 'images', but 'image'"),
        ('{"images": [{"id": %s}]}' % ("9" * 5000), "4300"),
    ],
)
def test_json_that_is_none(coco, check, text, place):
    coco.write_bytes(text if isinstance(text, bytes) else text.encode())
    status, report = check(coco)
    assert status == 1
    assert refusal_of_coco(coco, coco.parent) is not None
    places = [p for f in report["findings"] for ps in f["places"].values() for p in ps]
    assert any(place in p and str(coco) in p for p in places), places


def edit_xml(old: str, new: str):
    assert old in VOC_XML
    return VOC_XML.replace(old, new)


VOC_EDITS = {
    "nothing": (VOC_XML, None),
    "cut": (VOC_XML[:150], "xml"),
    "empty": ("", "xml"),
    "no size": (edit_xml("size>", "sizes>"), "image-entry"),
    "size 0": (edit_xml("<width>64", "<width>0"), "image-entry"),
    "size with a fraction": (edit_xml("<width>64", "<width>64.0"), "image-entry"),
    "another size": (edit_xml("<width>64", "<width>65"), "image-size"),
    "no name": (edit_xml("<name>cell</name>", ""), "annotation-entry"),
    "no box": (edit_xml("bndbox>", "box>"), "box-form"),
    "box a text": (edit_xml("<xmin>5", "<xmin>left"), "box-form"),
    "fraction": (edit_xml("<xmin>5", "<xmin>5.5"), "voc-evaluation"),
    "no pose": (edit_xml("<pose>Left</pose>", ""), "voc-evaluation"),
    "no difficult": (edit_xml("<difficult>0</difficult>", ""), "voc-evaluation"),
    "difficult": (edit_xml("<difficult>0", "<difficult>1"), "difficult"),
    "NaN": (edit_xml("<xmin>5", "<xmin>nan"), "voc-evaluation"),
    "infinite": (edit_xml("<xmin>5", "<xmin>inf"), "box-not-finite"),
    "corners swapped": (edit_xml("<xmax>24", "<xmax>2"), "box-without-area"),
    "outside": (edit_xml("<xmin>5", "<xmin>70").replace("<xmax>24", "<xmax>90"), "box-outside"),
    "unknown encoding": ('<?xml version="1.0" encoding="no-such"?>' + VOC_XML, "xml"),
}


@pytest.mark.parametrize("name", VOC_EDITS)
def test_edited_xml(tmp_path, check, name):
    text, code = VOC_EDITS[name]
    folder = make_voc(tmp_path / "voc", {"train": ["a", "b", "c"]})
    (folder / "Annotations" / "b.xml").write_text(text)
    status, report = check(folder)
    classes = list(report["splits"][0]["boxes_by_class"])
    agree(status, report, code, refusal_of_voc(folder, "train", classes))
    mends(check, report, folder)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("a\nb\n", None),
        ("a\n\nb\n", "image-set"),
        ("a\nb\na\n", "image-set"),
        ("", "form"),
        ("a\nz\n", "xml"),
    ],
    ids=["fine", "a blank line", "an id twice", "empty", "an id without files"],
)
def test_edited_image_set(tmp_path, check, lines, code):
    folder = make_voc(tmp_path / "voc", {"train": ["a", "b"]})
    (folder / "ImageSets" / "Main" / "train.txt").write_text(lines)
    status, report = check(folder)
    agree(status, report, code, refusal_of_voc(folder, "train", ["cell"]))


def places(value, path=()):
    """The path of every value in a JSON value."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items if isinstance(value, (dict, list)) else ():
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))
        else:
            yield (*path, key)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 80),
    st.floats(),
    st.sampled_from(["", "1", "0.jpg", "cell", 10**400, 1e300, -1e300, [], {}, [[]], [{}]]),
    st.lists(st.floats(-80, 80), max_size=5),
)


@pytest.fixture(scope="module")
def one_set():
    with tempfile.TemporaryDirectory() as folder:
        file = make_coco(Path(folder) / "set")
        yield file, json.loads(file.read_text())


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_change_of_the_json(one_set, check, data):
    file, original = one_set
    content = copy.deepcopy(original)
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(sorted(places(content), key=repr)))
        inner = content
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = data.draw(ODD)
    file.write_text(json.dumps(content))
    status, report = check(file, "--images", file.parent / "photos")
    refusal = refusal_of_coco(file, file.parent / "photos")
    if refusal is not None:
        assert status == 1, refusal


NUMBER = st.one_of(
    st.floats(-100, 200), st.floats(), st.integers(-3, 110), st.sampled_from([1.0, 2.0, 1e5, 1e9])
)


@settings(max_examples=300, deadline=None)
@given(st.lists(NUMBER, min_size=4, max_size=4), st.booleans())
def test_a_box_is_damaged_where_training_leaves_it_out(numbers, corners):
    x0, y0, x1, y1 = numbers
    bbox = [x0, y0, x1 - x0, y1 - y0] if corners else numbers
    box = Box("cell", {"bbox": bbox})
    image = Image("a.jpg", Path("a.jpg"), (100, 50), {})
    check_box(box, image, "train", "a.jpg", Findings(), numbers if corners else None)
    mode = BoxMode.XYXY_ABS if corners else BoxMode.XYWH_ABS
    annotation = {"bbox": numbers, "bbox_mode": mode}
    record = {"file_name": "a.jpg", "width": 100, "height": 50, "annotations": [annotation]}
    kept = drop_damaged_boxes([record], "toy")[0]["annotations"]
    assert (box.damage is None) == bool(kept)
