"""Small data sets with one fault each, as tools and people write them: check and own data agree."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from detectron2.config import LazyConfig

from detnas_d2.data import DataError
from detnas_d2.data.own import prepare, prepare_folder

ROOT = Path(__file__).resolve().parents[3]
CASES = ROOT.parent / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the folder of cases is missing")


class Case(NamedTuple):
    """What has to come out.

    Attributes:
        images: all that are trained, validated and tested on; 0: the data can't be used.
        says: of the report, in which `configs/custom` tells the same.
        code: of the finding; None: there is none.
        classes: of the detector.
    """

    images: int
    says: str = ""
    code: str | None = None
    classes: tuple[str, ...] = ("cup", "pen")


RIGHT = {
    "all_crowd": Case(0, "all 6 boxes are crowd regions.*set it to 0", "no-box"),
    "apple_json": Case(8),
    "apple_voc": Case(6),
    "area_negative": Case(8, "computed from the box", "mended"),
    "area_too_large": Case(8, "computed from the box", "mended"),
    "boxes_as_corners": Case(8, "WARNING: .* may be .x0, y0, x1, y1", "box-corners"),
    "boxes_below_a_pixel": Case(6, r"WARNING.* 1\.4 pixels.*e is 240.*cut .*tiles", "box-tiny"),
    "category_id_text": Case(6, "category_id is '1'", "mended"),
    "class_question_marks": Case(6, classes=("cup", "???")),
    "ids_as_floats": Case(6, "id 1.0", "mended"),
    "image_id_text": Case(6, "image_id is '1'", "mended"),
    "image_too_many_pixels": Case(6, "LEFT OUT: .*big.png.*cut them into tiles", "image-large"),
    "iscrowd_null": Case(6, "iscrowd is null", "mended"),
    "json_bom": Case(4, "encoding is utf-8-sig", "mended"),
    "mostly_crowd": Case(12, "WARNING.*9 of 12 boxes.*set iscrowd to 0", "crowd-many"),
    "names_backslash": Case(4, r"images\\im0.jpg is images/im0.jpg", "mended"),
    "names_case": Case(4, "IMG_0.jpg is IMG_0.JPG", "mended"),
    "names_decomposed": Case(4, " is .* on the disk", "mended"),
    "one_truncated": Case(7, "custom leaves out.*", "image"),
    "polygons_only": Case(6, "taken from its mask", "mended"),
    "roboflow_lines": Case(8),
    "roboflow_parent_class": Case(8, "class .*: no box", "skipped"),
    "settings_four_lines": Case(6),
    "split_names_upper": Case(8),
    "strip_without_boxes": Case(8, "LEFT OUT.*strip.png: 2400x2", "image-large"),
    "three_images": Case(0, "3 images are too few for .*Add images", "too-few"),
    "voc_Images": Case(6),
    "voc_annots_images": Case(6),
    "voc_name_blanks": Case(6, "blanks around the name", "mended"),
    "voc_quoted_names": Case(6),
    "voc_some_bmp": Case(6),
    "voc_webp": Case(6),
    "xml_gb2312": Case(6, "another encoding", "mended", ("杯子", "笔")),
}


def test_all_cases_are_tried():
    """But the one without data, of a search: tests/evaluation has it."""
    there = {path.name for path in CASES.iterdir() if path.is_dir()}
    assert there == {*RIGHT, "nothing_detected"}


@pytest.mark.parametrize("name", RIGHT)
def test_case(name, check, capsys, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    case, folder = RIGHT[name], CASES / name
    path = folder / "a.json" if (folder / "a.json").exists() else folder
    images = folder / "images" if path.is_file() and name != "names_backslash" else None
    status, report = check(path, *(("--images", images) if images else ()))
    printed = capsys.readouterr().out
    assert status == (0 if case.images else 1)
    assert re.search("(?s)" + case.says, printed)
    assert {f["code"] for f in report["findings"]} == ({case.code} if case.code else set())
    if not case.images:
        with pytest.raises(DataError, match="(?s)can't be used.*" + case.says):
            prepare(str(path), str(images or ""), "own")
        return
    lines: dict[str, str] = {}
    exec("\n".join(line.strip() for line in printed.splitlines()[-2:]), lines)
    made = prepare(lines["annotations"], lines["images"], "own")  # as they stand
    written = [json.loads(Path(file).read_text())["images"] for file in made.files.values()]
    assert sum(map(len, written)) == case.images
    assert tuple(made.class_names) == case.classes
    severity = {f["severity"] for f in report["findings"]}
    assert not severity or any(finding["title"] in caplog.text for finding in report["findings"])


def test_the_image_size_of_another_row(check, capsys):
    check(CASES / "boxes_below_a_pixel/a.json", "--short-edge", 120)
    assert re.search(r"0\.7 pixels.*edge is 120", capsys.readouterr().out)


def test_four_lines_alone(tmp_path, monkeypatch):
    """Step 0, then the configs of a copy of the folder, without the line that may be missing."""
    configs = tmp_path / "configs"
    shutil.copytree(ROOT / "configs" / "custom", configs / "parts")
    (configs / "common").symlink_to(ROOT / "configs" / "common")
    case = CASES / "settings_four_lines"
    shutil.copy(case / "settings.py", configs / "parts")
    shutil.copy(case / "a.json", tmp_path)
    (tmp_path / "images").symlink_to(case / "images")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"Run step 0 first: python -m detnas_d2\.data\.own"):
        LazyConfig.load("configs/parts/step2_supernet.py")
    prepare_folder(configs / "parts")
    cfg = LazyConfig.load("configs/parts/step2_supernet.py")
    assert cfg.train.init_checkpoint == "" and cfg.model.roi_heads.num_classes == 2
