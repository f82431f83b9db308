"""A yacs config: at full size on the meta device, and a step of its own trainer at small width."""

from __future__ import annotations

import functools
import runpy
import tempfile
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.engine import hooks
from detectron2.modeling import build_model
from detectron2.utils.env import seed_all_rng
from dry_run_cost import Report, check_yacs_model
from dry_run_step import StandInBatches, check_step

from detnas_d2.data import missing_datasets
from detnas_d2.modeling import add_detnas_config
from detnas_d2.modeling.yacs_file import merge_yacs_file
from detnas_d2.space import CostTable, get_space

SCRIPT = Path(__file__).resolve().parent.parent / "projects/DetNAS/train_net.py"
SPACE = "demo"
_SMALL = {
    "MODEL.DEVICE": "cpu",
    "MODEL.WEIGHTS": "",
    "MODEL.DETNAS.SPACE": SPACE,
    "MODEL.FPN.OUT_CHANNELS": 8,
    "MODEL.RPN.BATCH_SIZE_PER_IMAGE": 16,
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 50,
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": 10,
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": 8,
    "MODEL.ROI_BOX_HEAD.CONV_DIM": 8,
    "MODEL.ROI_BOX_HEAD.FC_DIM": 8,
    "SOLVER.AMP.ENABLED": False,
}


def check_yaml(path: Path) -> Report:
    """Try one yacs config.

    Raises:
        ConfigError, DataError, or what loading, building and running raise: the config is broken.
    """
    cfg = get_cfg()
    add_detnas_config(cfg)
    merge_yacs_file(cfg, path)  # raises for an unknown key
    missing_datasets({*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST})  # raises for an unknown name
    full = cfg.clone()
    full.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        model = build_model(full).eval()
    report = check_yacs_model(model, path.stem)
    with tempfile.TemporaryDirectory() as folder:
        _train_one_step(_at_small_width(cfg, folder))
    return report


def _at_small_width(cfg: CfgNode, output_dir: str) -> CfgNode:
    cfg = cfg.clone()
    small = {**_SMALL, "OUTPUT_DIR": output_dir}
    if "supernet" not in cfg.MODEL.BACKBONE.NAME:
        small["MODEL.DETNAS.ARCHITECTURE"] = str(CostTable(get_space(SPACE)).cheapest())
    cfg.merge_from_list([x for pair in small.items() for x in pair])
    return cfg


def _train_one_step(cfg: CfgNode) -> None:
    """One iteration, with the trainer's hooks less those that write files."""
    rcnn = cfg.MODEL.META_ARCHITECTURE == "GeneralizedRCNN"
    classes = (cfg.MODEL.ROI_HEADS if rcnn else cfg.MODEL.RETINANET).NUM_CLASSES

    class OneStep(_trainer()):  # type: ignore[misc]
        @classmethod
        def build_train_loader(cls, cfg: CfgNode) -> StandInBatches:
            return StandInBatches(classes)

        def build_writers(self) -> list[Any]:
            return []

        def build_hooks(self) -> list[Any]:
            files = (hooks.EvalHook, hooks.PeriodicWriter, hooks.PeriodicCheckpointer)
            return [hook for hook in super().build_hooks() if not isinstance(hook, files)]

    seed_all_rng(0)
    trainer = OneStep(cfg)
    trainer.max_iter = 1  # the schedule keeps its own length
    check_step(trainer, trainer.checkpointer.model, "supernet" in cfg.MODEL.BACKBONE.NAME)


@functools.cache
def _trainer() -> type:
    """The class of projects/DetNAS/train_net.py, whose name the top-level script has as well."""
    trainer: type = runpy.run_path(str(SCRIPT))["Trainer"]
    return trainer
