"""A metric that no candidate can have is refused before there is one."""

from __future__ import annotations

import json

import pytest
import tiny
from detectron2.config import LazyCall as L
from detectron2.config import LazyConfig
from detectron2.data import DatasetCatalog, get_detection_dataset_dicts
from detectron2.evaluation import COCOEvaluator, DatasetEvaluator, PascalVOCDetectionEvaluator

from detnas_d2.data import register_coco, unregister_dataset
from detnas_d2.engine import ConfigError
from detnas_d2.evaluation import FastCOCOEvaluator, SupernetFitness


def detector_cfg(evaluator, output_dir="unused", **arguments):
    cfg = tiny.detector(output_dir)
    cfg.dataloader.test.dataset = L(get_detection_dataset_dicts)(
        names="bccd_val", filter_empty=False
    )
    cfg.dataloader.evaluator = L(evaluator)(dataset_name="bccd_val", **arguments)
    return cfg


def check(cfg, metric):
    cfg.train.init_checkpoint = "not_read.pth"
    SupernetFitness(metric).check(cfg)


@pytest.mark.parametrize("evaluator", [FastCOCOEvaluator, COCOEvaluator])
def test_coco(evaluator, bccd_images, tmp_path, capfd):
    """Before any image is read, and what it writes does not stay."""
    cfg = detector_cfg(evaluator, output_dir=str(tmp_path))
    cfg.dataloader.test.mapper = None
    check(cfg, "bbox/AP-RBC")
    assert capfd.readouterr().out == "" and not list(tmp_path.iterdir())
    with pytest.raises(
        ConfigError, match="search.fitness.metric is 'bbox/AP05', .* mean .*bbox/AP50"
    ):
        check(cfg, "bbox/AP05")
    with pytest.raises(ConfigError, match="'bbox/AP-Rbc', .* mean 'bbox/AP-RBC'"):
        check(cfg, "bbox/AP-Rbc")
    # masks: Detectron2's evaluator has figures of them, if the network has masks
    if evaluator is FastCOCOEvaluator:
        with pytest.raises(ConfigError, match="does not give"):
            check(cfg, "segm/AP")
    else:
        check(cfg, "segm/AP")
        with pytest.raises(ConfigError, match="does not give"):
            check(cfg, "sgem/AP")


@pytest.mark.parametrize("evaluator", [FastCOCOEvaluator, COCOEvaluator])
def test_without_objects_that_count(evaluator, tmp_path):
    """Every candidate's figure would be NaN: an image with a large box alone, one with a crowd."""
    image = {"id": 1, "file_name": "a.jpg", "width": 300, "height": 300}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 200, 200], "area": 40_000}
    (tmp_path / "a.jpg").touch()
    cfg = detector_cfg(evaluator)
    cfg.dataloader.test.dataset.names = cfg.dataloader.evaluator.dataset_name = "metric_own"
    for crowd, metric, message in (
        (0, "bbox/APs", "'bbox/APs', but 'metric_own' has no object .*AP50"),
        (1, "bbox/AP", "'metric_own' has no object that .* annotate its"),
    ):
        content = {"images": [image], "annotations": [{**box, "iscrowd": crowd}]}
        content["categories"] = [{"id": 1, "name": "a"}]
        (tmp_path / "own.json").write_text(json.dumps(content))
        register_coco("metric_own", tmp_path / "own.json", tmp_path)
        try:
            if not crowd:
                check(cfg, "bbox/APl")
            with pytest.raises(ConfigError, match=message):
                check(cfg, metric)
        finally:
            unregister_dataset("metric_own")


def test_voc_and_classification(bccd_images):
    data = LazyConfig.load(str(tiny.ROOT / "configs/common/data/bccd_voc.py")).dataloader
    cfg = tiny.classifier("unused")
    cfg.dataloader = data
    assert data.evaluator._target_ is PascalVOCDetectionEvaluator
    check(cfg, "bbox/AP50")
    with pytest.raises(ConfigError, match="'bbox/mAP', .* mean .*bbox/AP"):
        check(cfg, "bbox/mAP")
    with pytest.raises(ConfigError, match="'classification/top5', .* 'classification/top2'"):
        check(tiny.classifier("unused"), "classification/top5")


class Mine(DatasetEvaluator):
    """A user's own: the mean number of objects, if it is fed with nothing else than it knows."""

    def __init__(self, dataset_name, needs="instances"):
        self.needs = needs

    def reset(self):
        self.counts = []

    def process(self, inputs, outputs):
        self.counts += [len(output[self.needs]) for output in outputs]

    def evaluate(self):
        assert len(self.counts) == len(DatasetCatalog.get("bccd_val"))
        return {"mine": {"count": sum(self.counts) / len(self.counts), "nan": float("nan")}}


def test_an_evaluator_of_ones_own(bccd_images):
    check(detector_cfg(Mine), "mine/count")
    check(detector_cfg(Mine), "mine/nan")  # what it means is the user's affair
    with pytest.raises(ConfigError, match="'mine/cuont', .* mean 'mine/count'"):
        check(detector_cfg(Mine), "mine/cuont")
    # not to be known before there is a network: left to the first candidate
    check(detector_cfg(Mine, needs="embeddings"), "mine/cuont")
