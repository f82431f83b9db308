"""Two years of VOC in one folder: their union, split by id, scored by Detectron2's evaluator."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from data_to_check import feed_truth, make_voc, run_the_command_of
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets.pascal_voc import CLASS_NAMES, load_voc_instances
from detectron2.evaluation import PascalVOCDetectionEvaluator
from detectron2.evaluation.pascal_voc_evaluation import parse_rec

from detnas_d2.data import (
    DataError,
    MissingDatasetError,
    load_voc_folder,
    missing_datasets,
    register_voc_folder,
    unregister_dataset,
)
from detnas_d2.data.builtin import BCCD_CLASSES
from detnas_d2.data.voc_splits import main, write_mixed_years

SEARCH_IMAGES = 40
SEED = 3


@pytest.fixture
def years(bccd, tmp_path) -> list[Path]:
    """BCCD's trainval as two years: the first 150 images, and the other 142."""
    ids = (bccd / "ImageSets" / "Main" / "trainval.txt").read_text().split()
    folders = []
    for name, part in (("VOC2007", ids[:150]), ("VOC2012", ids[150:])):
        folder = tmp_path / "root" / name
        for sub in ("Annotations", "JPEGImages", "ImageSets/Main"):
            (folder / sub).mkdir(parents=True)
        for i in part:
            shutil.copyfile(bccd / f"Annotations/{i}.xml", folder / f"Annotations/{i}.xml")
            (folder / f"JPEGImages/{i}.jpg").symlink_to(bccd / f"JPEGImages/{i}.jpg")
        (folder / "ImageSets/Main/trainval.txt").write_text("".join(f"{i}\n" for i in part))
        folders.append(folder)
    return folders


@pytest.fixture
def mixed(years) -> Path:
    write_mixed_years(years, years[0].parent / "VOC0712", SEARCH_IMAGES, SEED)
    return years[0].parent / "VOC0712"


def names(folder: Path, part: str) -> list[str]:
    return (folder / "ImageSets" / "Main" / f"{part}.txt").read_text().splitlines()


def contents(folder: Path) -> dict[str, object]:
    """Every file below a folder: its bytes, or where it links to."""
    files = [p for p in folder.rglob("*") if p.is_symlink() or p.is_file()]
    return {
        str(p.relative_to(folder)): os.readlink(p) if p.is_symlink() else p.read_bytes()
        for p in files
    }


def test_the_mixed_folder_is_the_union_of_both_years(years, mixed, tmp_path):
    """Also behind links: $DETECTRON2_DATASETS is often one, and a year another."""
    supernet, search = names(mixed, "supernet"), names(mixed, "search")
    assert len(search) == SEARCH_IMAGES and len(supernet) == 292 - SEARCH_IMAGES
    assert supernet == sorted(supernet) and search == sorted(search)
    assert {len(set(search) & set(names(y, "trainval"))) > 5 for y in years} == {True}

    def comparable(records):
        return sorted(
            ((r | {"file_name": Path(r["file_name"]).name}) for r in records),
            key=lambda r: r["image_id"],
        )

    # Detectron2's own reader on each year, ours on the parts of the mixed folder
    edit(years[0], "BloodImage_00000", "<difficult>0</difficult>", "<difficult>1</difficult>")
    union = [r for y in years for r in load_voc_instances(str(y), "trainval", BCCD_CLASSES)]
    for r in union:  # two boxes without area
        r["annotations"] = [a for a in r["annotations"] if a["bbox"][0] + 1 < a["bbox"][2]]
    parts = [load_voc_folder(mixed, p, BCCD_CLASSES) for p in ("supernet", "search")]
    assert comparable(parts[0] + parts[1]) == comparable(union)

    # the links are relative: the root may be moved, years and all
    (tmp_path / "root").rename(tmp_path / "moved")
    moved = load_voc_folder(tmp_path / "moved" / "VOC0712", "search", BCCD_CLASSES)
    assert comparable(moved) == comparable(parts[1])

    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "moved" / "VOC2012").rename(tmp_path / "deep" / "er" / "VOC2012")
    (tmp_path / "moved" / "VOC2012").symlink_to(tmp_path / "deep" / "er" / "VOC2012")
    link = tmp_path / "deep" / "link"
    link.symlink_to(tmp_path / "moved")
    write_mixed_years([link / y.name for y in years], link / "behind", SEARCH_IMAGES, SEED)
    behind = load_voc_folder(link / "behind", "search", BCCD_CLASSES)
    assert comparable(behind) == comparable(parts[1])


def test_a_function_of_ids_and_seed(years, mixed):
    root = mixed.parent
    write_mixed_years(years[::-1], root / "again", SEARCH_IMAGES, SEED)
    assert contents(root / "again") == contents(mixed)
    before = (mixed / "made_by_detnas.json").stat()
    write_mixed_years(years, mixed, SEARCH_IMAGES, SEED)  # there already
    assert (mixed / "made_by_detnas.json").stat() == before
    write_mixed_years(years, root / "other", SEARCH_IMAGES, SEED + 1)
    assert names(root / "other", "search") != names(mixed, "search")
    with pytest.raises(DataError, match=r"other parameters \(seed: 3 there, 4 now\)"):
        write_mixed_years(years, mixed, SEARCH_IMAGES, SEED + 1)
    # the same images in every version of this project, for results to be comparable
    assert names(mixed, "search")[:3] == [
        "BloodImage_00009",
        "BloodImage_00017",
        "BloodImage_00028",
    ]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda y: y[1].rename(y[1].with_name("x")), r"image set .*VOC2012/.*trainval\.txt"),
        (lambda y: (y[0] / "Annotations/BloodImage_00001.xml").unlink(), r"BloodImage_00001\.xml"),
        (lambda y: (y[0] / "JPEGImages/BloodImage_00001.jpg").unlink(), "no image BloodImage_0000"),
        (lambda y: y.append(y[0]), r"BloodImage_\d+ is in the trainval sets of .*VOC2007 and"),
    ],
)
def test_refused(years, damage, message):
    damage(years)
    out = years[0].parent / "VOC0712"
    with pytest.raises(SystemExit, match=rf"^voc_splits: .*{message}"):
        main([*map(str, years), "--search-images", "40", "--out", str(out)])
    assert not out.exists()


def score(folder: Path, part: str) -> float:
    """AP50 of the boxes themselves, by Detectron2's evaluator."""
    register_voc_folder("mixed_voc", folder, part, BCCD_CLASSES, 2007)
    try:
        parse_rec.cache_clear()  # it reads each file once in a process
        evaluator = PascalVOCDetectionEvaluator("mixed_voc")
        return feed_truth(evaluator, "mixed_voc")["AP50"]
    finally:
        unregister_dataset("mixed_voc")


def edit(year: Path, image_id: str, old: str, new: str) -> None:
    file = year / "Annotations" / f"{image_id}.xml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_what_the_evaluator_cannot_read_is_mended(years, caplog):
    """As 2011_003353 and 2011_006777 of VOC 2012, which hold a ymin of 45.70000076293945."""
    edit(years[0], "BloodImage_00000", "<ymin>177</ymin>", "<ymin>177.70000076293945</ymin>")
    edit(years[0], "BloodImage_00001", "<pose>Unspecified</pose>", "")
    with pytest.raises(ValueError, match=r"int\(\) with base 10: '177\.70"):
        score(years[0], "trainval")
    out = years[0].parent / "VOC0712"
    write_mixed_years(years, out, SEARCH_IMAGES, SEED)
    assert "BloodImage_00000.xml, BloodImage_00001.xml" in caplog.text
    plain = [p.name for p in (out / "Annotations").iterdir() if not p.is_symlink()]
    assert sorted(plain) == ["BloodImage_00000.xml", "BloodImage_00001.xml"]
    assert "177.7" in (years[0] / "Annotations/BloodImage_00000.xml").read_text()
    (out / "ImageSets/Main/some.txt").write_text("\n".join(names(years[0], "trainval")[:20]))
    first = load_voc_folder(out, "some", BCCD_CLASSES)[0]["annotations"][0]
    assert first["bbox"] == [259, 177, 491, 376]
    assert score(out, "some") == pytest.approx(100)


def test_the_command_of_the_error_makes_the_data_sets(tmp_path, datasets, capsys):
    """Without the folder, the error names the command; that command makes both sets loadable."""
    datasets(tmp_path)
    sets = ["voc_0712_detnas_supernet", "voc_0712_detnas_search"]
    with pytest.raises(MissingDatasetError) as error:
        DatasetCatalog.get("voc_0712_detnas_search")
    assert str(tmp_path / "VOC0712") in str(error.value)
    make_voc(tmp_path / "VOC2007", {"trainval": [f"{i:06}" for i in range(15)]})
    make_voc(tmp_path / "VOC2012", {"trainval": [f"2008_{i:06}" for i in range(20)]})
    for file in tmp_path.rglob("*.xml"):
        file.write_text(file.read_text().replace("cell", "tvmonitor"))
    run_the_command_of(error.value, main, ("--search-images 5000", "--search-images 25"))
    printed = capsys.readouterr().out
    assert "search: 25 images" in printed and "supernet: 10 images" in printed

    assert missing_datasets(sets) == []
    supernet, search = (DatasetCatalog.get(name) for name in sets)
    assert (len(supernet), len(search)) == (10, 25)
    assert not {r["image_id"] for r in supernet} & {r["image_id"] for r in search}
    for name in sets:
        ours, theirs = MetadataCatalog.get(name), MetadataCatalog.get("voc_2007_test")
        assert ours.thing_classes == theirs.thing_classes == list(CLASS_NAMES)
        assert (ours.year, ours.evaluator_type) == (theirs.year, theirs.evaluator_type)
    assert search[0]["annotations"][0]["category_id"] == 19
    (tmp_path / "VOC0712/ImageSets/Main/search.txt").unlink()
    with pytest.raises(MissingDatasetError, match=r"search\.txt\n.*voc_splits"):
        DatasetCatalog.get("voc_0712_detnas_search")
