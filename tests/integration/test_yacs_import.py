"""A stranger's yacs project: Detectron2's plain DefaultTrainer, one import changed."""

from __future__ import annotations

import functools
import inspect
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.config import instantiate
from detectron2.engine import DefaultPredictor
from PIL import Image

from detnas_d2.data import register_builtin_datasets
from detnas_d2.engine import DetNASCheckpointer, load_config
from detnas_d2.export import load_trained
from detnas_d2.modeling import get_cfg

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/export.md").read_text()
TRAIN_NET = """
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.engine import DefaultTrainer, default_argument_parser, default_setup
from detectron2.evaluation import COCOEvaluator

from detnas_d2.modeling import get_cfg  # was: from detectron2.config import get_cfg


class Trainer(DefaultTrainer):
    @classmethod
    def build_evaluator(cls, cfg, dataset_name):
        return COCOEvaluator(dataset_name, output_dir=cfg.OUTPUT_DIR)


def main(args):
    cfg = get_cfg()
    cfg.merge_from_file(args.config_file)
    cfg.merge_from_list(args.opts)
    cfg.freeze()
    default_setup(cfg, args)
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=args.resume)
    trainer.train()
    return cfg, Trainer.test(cfg, trainer.model)


if __name__ == "__main__":
    cfg, results = main(default_argument_parser().parse_args())
"""
YAML = """
_BASE_: "{base}"
MODEL:
  DEVICE: "cpu"
  WEIGHTS: ""
  DETNAS:
    SPACE: "space.py"
    NORM: "BN"
    ARCHITECTURE: [2, 0, 1, 2, 0]
  FPN:
    OUT_CHANNELS: 8
    NORM: "{norm}"
  ROI_HEADS:
    NUM_CLASSES: 2
  ROI_BOX_HEAD:
    CONV_DIM: 8
    FC_DIM: 16
    NORM: "BN"
  RETINANET:
    NUM_CLASSES: 2
    NUM_CONVS: 1
INPUT:
  MIN_SIZE_TRAIN: (64,)
  MIN_SIZE_TEST: 64
DATASETS:
  TRAIN: ("digits_train",)
  TEST: ("digits_val",)
DATALOADER:
  NUM_WORKERS: 0
SOLVER:
  IMS_PER_BATCH: 2
  MAX_ITER: 2
  STEPS: ()
"""


@pytest.fixture
def project(tmp_path, workspace, monkeypatch, logging_restored):
    """A folder of the stranger's, in which the project is run."""
    (tmp_path / "train_net.py").write_text(TRAIN_NET)
    for detector, norm in (("fpn", "BN"), ("retinanet", "")):
        base = ROOT / f"projects/DetNAS/configs/detnasnet_{detector}_300m.yaml"
        (tmp_path / f"{detector}.yaml").write_text(YAML.format(base=base, norm=norm))
    (tmp_path / "space.py").write_text((workspace / "configs/tiny/space.py").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(workspace / "datasets"))
    register_builtin_datasets()
    yield tmp_path
    monkeypatch.undo()
    register_builtin_datasets()


@pytest.mark.parametrize("detector", ["fpn", "retinanet"])
def test_it_trains_and_tests(project, detector, monkeypatch):
    """And its folder is one that export and predict take."""
    output = str(project / "output")
    arguments = ["train_net.py", "--config-file", f"{detector}.yaml", "OUTPUT_DIR", output]
    monkeypatch.setattr(sys, "argv", arguments)
    results = runpy.run_path(str(project / "train_net.py"), run_name="__main__")["results"]
    assert "AP50" in results["bbox"]
    trained = load_trained(output, trust=True)  # its MODEL.DETNAS.SPACE is a program
    (backbone,) = (m for m in trained.model.modules() if hasattr(m, "architecture"))
    assert str(backbone.architecture) == "2,0,1,2,0"
    assert [c["name"] for c in trained.categories] == ["zero", "one"]
    stored = torch.load(f"{output}/model_final.pth", weights_only=True)["model"]
    assert all(torch.equal(v, stored[k]) for k, v in trained.model.state_dict().items())


def test_the_yaml_of_the_page(tmp_path):
    """It detects as configs/demo/step4_detection.py does; with the base's keys it would not."""
    block = next(b for b in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "_BASE_" in b)
    file = tmp_path / "page.yaml"
    file.write_text(block.replace('"projects/', f'"{ROOT}/projects/'))
    architecture, weights = "0,3,1,2,0,1,3,2,1,0", str(tmp_path / "model_final.pth")
    lazy = load_config(
        str(ROOT / "configs/demo/step4_detection.py"),
        [f"model.backbone.bottom_up.architecture={architecture}"],
    )
    torch.manual_seed(0)
    model = instantiate(lazy.model).eval()
    DetNASCheckpointer(model, str(tmp_path)).save("model_final")
    pixels = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    image = instantiate(lazy.dataloader.test.mapper)({"file_name": str(tmp_path / "image.png")})
    with torch.no_grad():
        ours = model([{**image, "height": 150, "width": 200}])[0]["instances"]
    assert len(ours) > 10

    def same(*changes: object) -> bool:
        cfg = get_cfg()
        cfg.merge_from_file(str(file))
        cfg.MODEL.WEIGHTS, cfg.MODEL.DEVICE = weights, "cpu"
        cfg.MODEL.DETNAS.ARCHITECTURE = architecture
        cfg.merge_from_list(list(changes))
        theirs = DefaultPredictor(cfg)(pixels[:, :, ::-1])["instances"]
        return len(ours) == len(theirs) and all(
            torch.equal(a, b)
            for a, b in (
                (ours.pred_boxes.tensor, theirs.pred_boxes.tensor),
                (ours.scores, theirs.scores),
                (ours.pred_classes, theirs.pred_classes),
            )
        )

    assert same()
    assert not same("MODEL.ANCHOR_GENERATOR.SIZES", [[32], [64], [128], [256], [512]])
    assert not same("MODEL.RPN.POST_NMS_TOPK_TEST", 10)


def test_the_keys_of_the_page():
    """Each is one of yacs, and one of a LazyConfig or an argument of what that builds."""
    rows = re.findall(r"^\|[^|]*\| `([A-Z]\w*\.[\w.]+)` \| `([\w.]+)`", PAGE, re.MULTILINE)
    assert len(rows) > 20
    configs = [
        load_config(str(ROOT / f"configs/bccd/step4_detection_{d}.py"))
        for d in ("fpn", "retinanet")
    ]

    def known(cfg, key: str) -> bool:
        *path, last = key.split(".")
        try:
            node = functools.reduce(lambda node, name: node[name], path, cfg)
        except (KeyError, AttributeError):
            return False
        return last in node or last in inspect.signature(node._target_).parameters

    for theirs, ours in rows:
        functools.reduce(lambda node, name: node[name], theirs.split("."), get_cfg())
        assert any(known(cfg, ours) for cfg in configs), ours
