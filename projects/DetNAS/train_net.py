#!/usr/bin/env python3
"""DetNAS for users of yacs configs: Detectron2's DefaultTrainer with another step and a hook more.

    cd projects/DetNAS
    python train_net.py --config-file configs/supernet_fpn_300m.yaml --num-gpus 8 \\
        MODEL.WEIGHTS model_final.pth
    python train_net.py --config-file configs/detnasnet_fpn_300m.yaml --num-gpus 8 \\
        MODEL.DETNAS.ARCHITECTURE output/best_architecture.json

The step is that of the top-level train_net.py, on one GPU or several. What one gives up relative to
it: images and augmentation are no function of (seed, step), so a resumed training is not the same
as an uninterrupted one. The loss scale of mixed precision starts anew then, and on Detectron2 0.6
the optimizer as well.
"""

from __future__ import annotations

import argparse
import weakref
from collections.abc import Sequence
from typing import Any

import yaml
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.engine import (
    DefaultTrainer,
    HookBase,
    TrainerBase,
    default_argument_parser,
    default_setup,
    launch,
)
from detectron2.evaluation import COCOEvaluator, DatasetEvaluator, PascalVOCDetectionEvaluator
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

import detnas_d2.data  # noqa: F401  registers its data sets
from detnas_d2.commands import add_debug, command, ending
from detnas_d2.engine import ConfigError, DetNASCheckpointer, PathResampling
from detnas_d2.engine.parallel import broadcast_model
from detnas_d2.engine.train_step import PathwiseStep
from detnas_d2.modeling import find_supernet, get_cfg
from detnas_d2.modeling.yacs_file import merge_yacs_file
from detnas_d2.space import UniformPathSampler
from detnas_d2.trust import add_trust

PROGRAM = "train_net.py"


class Trainer(DefaultTrainer):
    def __init__(self, cfg: CfgNode) -> None:
        # DefaultTrainer.__init__ takes DistributedDataParallel, which does not know the path
        TrainerBase.__init__(self)
        cfg = DefaultTrainer.auto_scale_workers(cfg, comm.get_world_size())
        self.cfg = cfg
        self.max_iter = cfg.SOLVER.MAX_ITER
        model = self.build_model(cfg)
        optimizer = self.build_optimizer(cfg, model)
        loader = self.build_train_loader(cfg)
        self._trainer = PathwiseStep(model, loader, optimizer, amp=cfg.SOLVER.AMP.ENABLED)
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        # it slices a network out of a supernet's checkpoint
        self.checkpointer = DetNASCheckpointer(model, cfg.OUTPUT_DIR, trainer=weakref.proxy(self))
        self.register_hooks(self.build_hooks())

    def resume_or_load(self, resume: bool = True) -> None:
        super().resume_or_load(resume)
        broadcast_model(self.model)

    def build_hooks(self) -> list[HookBase]:
        hooks = super().build_hooks()
        supernet = find_supernet(self.model)
        if supernet is not None:
            sampler = UniformPathSampler(supernet.space, max(self.cfg.SEED, 0))
            hooks.insert(0, PathResampling(sampler))
        return hooks

    @classmethod
    def build_evaluator(cls, cfg: CfgNode, dataset_name: str) -> DatasetEvaluator:
        kind = MetadataCatalog.get(dataset_name).evaluator_type
        if kind == "pascal_voc":
            return PascalVOCDetectionEvaluator(dataset_name)
        if kind == "coco":
            return COCOEvaluator(dataset_name, output_dir=cfg.OUTPUT_DIR)
        raise ConfigError(f"No evaluator for the data set {dataset_name!r} of type {kind!r}.")


def load_cfg(args: argparse.Namespace) -> CfgNode:
    cfg = get_cfg()
    try:
        merge_yacs_file(cfg, args.config_file, trust=args.trust)
        cfg.merge_from_list(args.opts)
    except (AssertionError, KeyError, OSError, ValueError, yaml.YAMLError) as e:
        raise ConfigError(
            f"--config-file {args.config_file!r} and the overrides {args.opts} can't be used: {e} "
            "Expected a YAML file, as in projects/DetNAS/configs, and pairs of KEY VALUE, as in "
            "SOLVER.MAX_ITER 100."
        ) from e
    cfg.freeze()
    return cfg


def work(args: argparse.Namespace) -> None:
    with ending(PROGRAM, debug=args.debug):
        run(args)


def run(args: argparse.Namespace) -> Any:
    cfg = load_cfg(args)
    default_setup(cfg, args)
    setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="detnas_d2")
    if args.eval_only:
        model = Trainer.build_model(cfg)
        DetNASCheckpointer(model, cfg.OUTPUT_DIR).resume_or_load(
            cfg.MODEL.WEIGHTS, resume=args.resume
        )
        return Trainer.test(cfg, model)
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=args.resume)
    return trainer.train()


@command(PROGRAM, flags=("--resume", "--eval-only", "--trust"))
def main(argv: Sequence[str]) -> None:
    args = add_trust(add_debug(default_argument_parser())).parse_args(argv)
    load_cfg(args)  # what it refuses is refused before processes are started
    launch(
        work,
        args.num_gpus,
        num_machines=args.num_machines,
        machine_rank=args.machine_rank,
        dist_url=args.dist_url,
        args=(args,),
    )


if __name__ == "__main__":
    main()
