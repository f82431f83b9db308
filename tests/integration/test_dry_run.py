"""Every config without data, GPU or checkpoint (`make dry-run`): its keys are known, its network is
built at full size on the meta device, and one step of it runs at small width on random images."""

from __future__ import annotations

import functools
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.config import CfgNode, get_cfg, instantiate
from detectron2.engine import hooks
from detectron2.modeling import build_model
from detectron2.utils.env import seed_all_rng
from omegaconf import DictConfig
from own_images import with_tiny_data
from small_run import StandInBatches, at_small_width, check_fit, check_step, train_one_step

from detnas_d2.data import missing_datasets
from detnas_d2.driver import build_algorithm, build_fitness, build_limit
from detnas_d2.engine import (
    DetNASCheckpointer,
    LazyTrainer,
    backbone_node,
    evaluate_checkpoint,
    load_config,
)
from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.engine.preflight import check_run
from detnas_d2.modeling import add_detnas_config, find_supernet
from detnas_d2.modeling.yacs_file import merge_yacs_file
from detnas_d2.space import CostTable, get_space, resolve_space

ROOT = Path(__file__).resolve().parents[2]
STEPS = sorted((ROOT / "configs").glob("*/step*.py"))
YAMLS = sorted(
    p for p in (ROOT / "projects/DetNAS/configs").glob("*.yaml") if "Base-" not in p.name
)
SCRIPT = ROOT / "projects/DetNAS/train_net.py"


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On images this small, more cost more than they bring."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("path", STEPS, ids=name_of)
def test_a_step(path, tmp_path_factory):
    """A training's one iteration and then its test, or the fitness of one network."""
    with with_tiny_data(path, str(tmp_path_factory.getbasetemp() / "dry_run")) as config:
        cfg = load_config(str(config))
    fits_at_full_size(config_hash(cfg, ["model"]), cfg)
    folder = tmp_path_factory.mktemp("step")
    small = at_small_width(cfg, str(folder))
    if "search" in cfg:
        space = resolve_space(instantiate(backbone_node(cfg).space))
        build_algorithm(cfg, *build_limit(cfg, space))  # they raise what can't work
        fitness = small.search.fitness
        if "calibration_batches" in fitness:
            fitness.calibration_batches = 1
        else:  # of a short training, one iteration
            small.train.max_iter = 1
    else:
        check_run(small, "train")
        train_one_step(small)
    model = LazyTrainer.build_model(small)
    DetNASCheckpointer(model, str(folder)).save("model_final")
    small.train.init_checkpoint = str(folder / "model_final.pth")
    supernet = find_supernet(model)
    if "search" in cfg:
        check_run(small, "search")
        fitness = build_fitness(small)
        score = fitness.build(small, model, fitness.load(small))
        score(CostTable(supernet.space).flops.cheapest())
    elif supernet is None and path.name.startswith("step4_detection"):
        check_run(small, "test")
        evaluate_checkpoint(small)


_seen: set[str] = set()


def fits_at_full_size(key: str, cfg: DictConfig) -> None:
    """Once for equal models."""
    if key in _seen:
        return
    cfg = cfg.copy()
    bottom = backbone_node(cfg)
    if "architecture" in bottom:
        space = resolve_space(instantiate(bottom.space))
        bottom.architecture = str(CostTable(space).flops.cheapest())
    with torch.device("meta"):
        model = instantiate(cfg.model).eval()
    if (supernet := find_supernet(model)) is not None:
        supernet.set_path(CostTable(supernet.space).flops.cheapest())
        if "path_sampler" in cfg:
            assert instantiate(cfg.path_sampler).space == supernet.space
    check_fit(model)
    _seen.add(key)


SPACE = "demo"
SMALL = {
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


@pytest.mark.parametrize("path", YAMLS, ids=name_of)
def test_a_yacs_config(path, tmp_path, logging_restored):
    cfg = get_cfg()
    add_detnas_config(cfg)
    merge_yacs_file(cfg, path)  # raises for an unknown key
    missing_datasets({*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST})  # raises for an unknown name
    full = cfg.clone()
    full.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        model = build_model(full).eval()
    supernet = find_supernet(model)
    if supernet is not None:
        supernet.set_path(CostTable(supernet.space).flops.cheapest())
    check_fit(model)
    small = {**SMALL, "OUTPUT_DIR": str(tmp_path)}
    if supernet is None:
        small["MODEL.DETNAS.ARCHITECTURE"] = str(CostTable(get_space(SPACE)).flops.cheapest())
    cfg.merge_from_list([x for pair in small.items() for x in pair])
    train_one_yacs_step(cfg, supernet_wanted=supernet is not None)


def train_one_yacs_step(cfg: CfgNode, *, supernet_wanted: bool) -> None:
    """One iteration, with the trainer's hooks less those that write files."""
    rcnn = cfg.MODEL.META_ARCHITECTURE == "GeneralizedRCNN"
    classes = (cfg.MODEL.ROI_HEADS if rcnn else cfg.MODEL.RETINANET).NUM_CLASSES

    class OneStep(yacs_trainer()):  # type: ignore[misc]
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
    check_step(trainer, trainer.checkpointer.model, supernet_wanted)


@functools.cache
def yacs_trainer() -> type:
    """The class of projects/DetNAS/train_net.py, whose name the top-level script has as well."""
    trainer: type = runpy.run_path(str(SCRIPT))["Trainer"]
    return trainer
