"""VOC folders: read as Detectron2 reads them, and scored by its evaluator."""

from __future__ import annotations

import pytest
from data_to_check import feed_truth
from detectron2.evaluation import PascalVOCDetectionEvaluator

from detnas_d2.data import DataError, load_voc_folder, register_voc_folder


def test_perfect_predictions_score_100_on_the_digits(digits_voc):
    voc = feed_truth(PascalVOCDetectionEvaluator("digits_voc_val"), "digits_voc_val")
    assert voc["AP50"] == pytest.approx(100) and voc["AP"] == pytest.approx(100)


def test_a_split_of_one_image_with_blank_lines_and_other_years(digits_voc, tmp_path):
    (digits_voc / "ImageSets" / "Main" / "one.txt").write_text("\nval_00003\n\n")
    (record,) = load_voc_folder(digits_voc, "one", ("zero", "one", "seven"))
    assert record["image_id"] == "val_00003" and record["file_name"].endswith("val_00003.png")
    with pytest.raises(DataError, match="2007 and 2012, not 2010"):
        register_voc_folder("toy_voc", tmp_path, "val", ("zero",), 2010)
