"""VOC folders: read as Detectron2 reads them, scored by its evaluator, errors with file names."""

from __future__ import annotations

import pytest
from data_to_check import feed_truth
from detectron2.evaluation import COCOEvaluator, PascalVOCDetectionEvaluator

from detnas_d2.data import (
    DataError,
    load_voc_folder,
    register_voc_folder,
)

CLASSES = ("zero", "one", "seven")


def test_perfect_predictions_score_100_on_the_digits(digits_voc, tmp_path):
    voc = feed_truth(PascalVOCDetectionEvaluator("digits_voc_val"), "digits_voc_val")
    assert voc["AP50"] == pytest.approx(100) and voc["AP"] == pytest.approx(100)
    coco = COCOEvaluator("digits_val", output_dir=str(tmp_path))
    assert feed_truth(coco, "digits_val")["AP"] == pytest.approx(100)

    def sideways(box):
        x0, y0, x1, y1 = box
        return [x0 + 0.6 * (x1 - x0), y0, x1 + 0.6 * (x1 - x0), y1]

    # IoU 0.25 / 0.75 = 1/3 wherever boxes are moved by half their width: no score is left.
    moved = feed_truth(PascalVOCDetectionEvaluator("digits_voc_val"), "digits_voc_val", sideways)
    assert moved["AP50"] < 10


def test_perfect_predictions_score_100_on_bccd(bccd):
    result = feed_truth(PascalVOCDetectionEvaluator("bccd_voc_test"), "bccd_voc_test")
    assert result["AP50"] == pytest.approx(100)
    # The evaluator reads the damaged box of val itself; it costs less than a tenth of a point.
    result = feed_truth(PascalVOCDetectionEvaluator("bccd_voc_val"), "bccd_voc_val")
    assert 99.9 < result["AP50"] < 100


def test_a_split_of_one_image_and_blank_lines(digits_voc):
    (digits_voc / "ImageSets" / "Main" / "one.txt").write_text("\nval_00003\n\n")
    records = load_voc_folder(digits_voc, "one", CLASSES)
    assert [r["image_id"] for r in records] == ["val_00003"]
    assert records[0]["file_name"].endswith("val_00003.png")


def test_other_years(tmp_path):
    with pytest.raises(DataError, match="2007 and 2012, not 2010"):
        register_voc_folder("toy_voc", tmp_path, "val", CLASSES, 2010)
