"""One fault at a time: what the check tells, and that new splits are without it."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from data_to_check import VOC_XML, make_coco, make_voc, refusal

from detnas_d2.data import DataError, load_voc_folder
from detnas_d2.data.check.__main__ import main
from detnas_d2.data.dataset import HARMLESS
from detnas_d2.data.findings import RULES, Severity


def first(key, **changes):
    """Changes the first entry of a list; a value of ... takes the key away."""

    def edit(content):
        for name, value in changes.items():
            content[key][0][name] = value
            if value is ...:
                del content[key][0][name]

    return edit


def every(key, **changes):
    return lambda content: [entry.update(changes) for entry in content[key]]


def put(key, value):
    return lambda content: content.update({key: value})


def append(key, **changes):
    return lambda content: content[key].append({**content[key][0], **changes})


def image_ids_as_texts(content):
    for entry in content["images"]:
        entry["id"] = f"i{entry['id']}"
    for entry in content["annotations"]:
        entry["image_id"] = f"i{entry['image_id']}"


# what is done to the JSON file -> code of the finding and words of its place (None: none)
JSON_EDITS = {
    "nothing": (lambda content: None, None),
    "no images": (lambda c: c.pop("images"), "form"),
    "annotations empty": (put("annotations", []), "no-box"),
    "all images missing": (every("images", file_name="other.jpg"), "image-folder"),
    "image without id": (first("images", id=...), "image: expected an id and a text"),
    "image without width": (first("images", width=...), "mended: its size, 64x48, taken"),
    "image of width 64.0": (first("images", width=64.0), "mended: width is 64.0"),
    "image of another size": (first("images", width=48, height=64), "image-size"),
    "image ids all texts": (image_ids_as_texts, None),
    "image id of another": (first("images", id=3), "image: has this id, too"),
    "image twice": (append("images", id=77), "mended: named twice"),
    "image missing": (first("images", file_name="other.jpg"), "image: other.jpg is missing"),
    "image with a null byte as name": (first("images", file_name="\0.jpg"), "image: is missing"),
    "category id twice": (append("categories", name="third"), "skipped: an id of its own"),
    "category ids texts": (
        lambda c: [x.update(id=str(x["id"])) for x in c["categories"]],
        "mended: id taken as a number",
    ),
    "category name in capitals": (
        lambda c: (
            c["categories"].append({"id": 3, "name": "CELL"}),
            c["annotations"][0].update(category_id=3),
        ),
        "class-names",
    ),
    "category with blanks": (first("categories", name=" cell\n"), "detail: blanks around the name"),
    "category without box": (
        append("categories", id=9, name="third"),
        "skipped: class 'third': no box",
    ),
    "annotation id twice": (append("annotations"), "mended: numbered anew"),
    "annotation of no image": (first("annotations", image_id=99), "box-damaged: image_id is 99"),
    "annotation of no category": (first("annotations", category_id=99), "box: does not define"),
    "box of words": (first("annotations", bbox=["1", "2", "3", "a"]), "box: four numbers"),
    "box of texts": (first("annotations", bbox=["1", "2", "9", "9.5"]), "mended: bbox is"),
    "box empty, run lengths": (
        first(
            "annotations",
            bbox=[],
            segmentation={"counts": [96, 20, 28, 20, 28, 20, 2860], "size": [48, 64]},
        ),
        "mended: taken from its mask",
    ),
    "box NaN": (first("annotations", bbox=[1, 2, math.nan, 4]), "box-damaged: not finite"),
    "box of a pixel": (first("annotations", bbox=[30, 20, 1, 1]), "box-damaged: without area"),
    "box outside": (first("annotations", bbox=[64, 20, 9, 9]), "box-damaged: outside the image"),
    "box partly outside": (first("annotations", bbox=[60, 20, 9, 9]), None),
    "crowd": (first("annotations", iscrowd=1), None),
    "crowd null": (first("annotations", iscrowd=None), "mended: iscrowd is null"),
    "ignore": (first("annotations", ignore=1), "box: expected 0 or 1, and 0"),
    "no area": (first("annotations", area=...), "detail: computed from the box"),
    **{
        f"area {area}": (first("annotations", area=area), "mended: computed from the box")
        for area in (-5, 0, 1e12, math.nan, None, "abc")
    },
    "area a text, no box": (first("annotations", area="abc", bbox=[5, 5, 0, 0]), "mended: area is"),
    "polygon": (first("annotations", segmentation=[[1, 1, 9, 1, 9, 9, 1, 9]]), None),
    "polygon of two points": (
        first("annotations", segmentation=[[1, 1, 9, 1]]),
        "detail: segmentation removed",
    ),
    "mask without size": (
        first("annotations", segmentation={"counts": [9]}),
        "detail: segmentation removed",
    ),
    "keypoints texts": (first("annotations", keypoints=["a", 2, 2]), "detail: keypoints removed"),
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
    "image truncated": (write_truncated, "image: Truncated"),
    "image empty": (lambda photos: (photos / "0.jpg").write_bytes(b""), "image: is empty"),
    "image turned on its side": (write_turned, "image-size"),
    "image upside down": (lambda photos: write_turned(photos, 3), "image-turned"),
    "image of 16 bits": (write_deep, "image-deep"),
}


def codes(report: dict) -> set[str]:
    return {finding["code"] for finding in report["findings"]}


def places(report: dict, code: str) -> list[str]:
    found = [f["places"].values() for f in report["findings"] if f["code"] == code]
    return [place for of_splits in found for of_split in of_splits for place in of_split]


def holds(check, code: str | None, path: Path) -> None:
    """The check tells the fault, and new splits have none, so that training takes them."""
    out = path.parent / "mended"
    code, _, words = (code or "").partition(": ")
    error = bool(code) and RULES[code].severity is Severity.ERROR
    status, report = check(path, *(() if error else ("--split", out)))
    # what is left out takes what belongs to it along
    with_it = {"skipped", "box", "box-damaged"} if code else set()
    assert {code} - {""} <= codes(report) <= {code} | with_it
    assert not code or any(words in place for place in places(report, code))
    assert status == int(error)
    if error:
        with pytest.raises(SystemExit, match="No splits were written|no usable box"):
            main([str(path), "--split", str(out)])
        return
    images = Path(report["written"]["image_folder"])
    status, report = check(out)
    assert status == 0
    assert codes(report) <= {"image-turned", "image-deep", "class-names", "crowd-many"}
    for part in ("train", "val", "test"):
        assert refusal(out / f"{part}.json", images) is None


@pytest.mark.parametrize("name", [*JSON_EDITS, *FILE_EDITS])
def test_edited_coco(tmp_path, check, name):
    edit, code = (JSON_EDITS | FILE_EDITS)[name]
    coco = make_coco(tmp_path / "coco", 12)
    if name in FILE_EDITS:
        edit(coco.parent / "photos")
    else:
        content = json.loads(coco.read_text())
        edit(content)
        coco.write_text(json.dumps(content))
    holds(check, code, coco)
    # training and the evaluator take the file as it is, unless the reader found something in it
    kind = (code or "detail").partition(":")[0]
    harmless = kind in HARMLESS or RULES[kind].severity is Severity.WARNING
    taken = refusal(coco, coco.parent / "photos") is None
    assert taken == (harmless or code in ("skipped: class 'third': no box", "mended: named twice"))


def test_headers_alone_tell_how_an_image_is_turned(coco, check):
    for orientation, code in ((2, "image-turned"), (8, "image-size")):
        write_turned(coco.parent / "photos", orientation)
        whole, fast = (check(coco, *options)[1]["findings"] for options in ((), ("--fast",)))
        assert whole == fast and code in {finding["code"] for finding in fast}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"images": [\n  {"id": 1},,\n]}', "line 2 column 13"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "expected an object with 'images'"),
        ('{"images": [{"id": %s}]}' % ("9" * 5000), "4300"),
        (b"\x89PNG\r\n\xff\x00", "it is no JSON"),
    ],
)
def test_json_that_is_none(coco, check, text, place):
    coco.write_bytes(text if isinstance(text, bytes) else text.encode())
    status, report = check(coco)
    assert status == 1
    assert place in str(refusal(coco, coco.parent / "photos"))
    assert any(place in p and str(coco) in p for p in places(report, "form"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_json_of_any_encoding(tmp_path, check, encoding):
    coco = make_coco(tmp_path / "coco", 12)
    text = coco.read_text().replace('"cell"', '"Größe"')
    coco.write_bytes(text.encode(encoding))
    status, report = check(coco)
    assert status == 0 and "Größe" in report["splits"][0]["boxes_by_class"]
    assert codes(report) == {"mended"}
    assert "can't be used as it is" in str(refusal(coco, coco.parent / "photos"))


def xml(old: str, new: str) -> str:
    assert old in VOC_XML
    return VOC_XML.replace(old, new)


VOC_EDITS = {
    "nothing": (VOC_XML, None),
    "cut": (VOC_XML[:150], "image: b.xml: "),
    "no size": (xml("size>", "sizes>"), "mended: its size, 64x48, taken"),
    "size 0": (xml("<width>64", "<width>0"), "mended: its size, 64x48, taken"),
    "size with a fraction": (xml("<width>64", "<width>64.0"), None),
    "another size": (xml("<width>64", "<width>65"), "image-size"),
    "no name": (xml("<name>cell</name>", ""), "box: name ''"),
    "name with blanks": (xml("<name>cell", "<name>\n  cell\n"), "mended: blanks around"),
    "no box": (xml("bndbox>", "box>"), "box: xmin None"),
    "box a text": (xml("<xmin>5", "<xmin>left"), "box: xmin 'left'"),
    "fraction": (xml("<xmin>5", "<xmin>5.5"), "detail: reads whole numbers"),
    "no difficult": (xml("<difficult>0</difficult>", ""), "detail: 'difficult': None"),
    "difficult": (xml("<difficult>0", "<difficult>1"), "difficult"),
    "outside": (xml("<xmin>5", "<xmin>70").replace("<xmax>24", "<xmax>90"), "box-damaged"),
    "unknown encoding": ('<?xml version="1.0" encoding="no-such"?>' + VOC_XML, "mended: encoding"),
}


@pytest.mark.parametrize("name", VOC_EDITS)
def test_edited_xml(tmp_path, check, name):
    text, code = VOC_EDITS[name]
    folder = make_voc(tmp_path / "voc", {"all": list("abcdefghijkl")})
    (folder / "Annotations" / "b.xml").write_text(text)
    holds(check, code, folder)
    # training takes the folder as it is, unless the reader found something in it
    harmless = (code or "detail").partition(":")[0] in (*HARMLESS, "image-size")  # opens no image
    with nullcontext() if harmless else pytest.raises(DataError, match="can't be used as it is"):
        assert len(load_voc_folder(folder, "all", ["cell"])) == 12


@pytest.mark.parametrize("encoding", ["gb2312", "utf-16", "no declaration"])
def test_xml_of_any_encoding(tmp_path, check, encoding):
    folder = make_voc(tmp_path / "voc", {"all": list("abcdefghijkl")})
    name = "杯子" if encoding == "gb2312" else "Größe"
    head = f'<?xml version="1.0" encoding="{encoding}"?>' if encoding != "no declaration" else ""
    text = head + xml("cell", name)
    for file in (folder / "Annotations").iterdir():
        file.write_bytes(text.encode("latin-1" if not head else encoding))
    status, report = check(folder)
    assert status == 0 and list(report["splits"][0]["boxes_by_class"]) == [name]


@pytest.mark.parametrize(
    ("lines", "code"),
    [("a\n\nb\n", None), ("a\nb\na\n", "mended"), ("'a'\n\"b\"\n", None)],
)
def test_image_sets(tmp_path, check, lines, code):
    folder = make_voc(tmp_path / "voc", {"train": ["a", "b"], "val": ["c"], "test": ["d"]})
    (folder / "ImageSets" / "Main" / "train.txt").write_text(lines)
    status, report = check(folder)
    assert status == 0 and report["splits"][0]["images"] == 2
    assert codes(report) == ({code} if code else set())
