#!/usr/bin/env python3
"""DetNAS for users of yacs configs: Detectron2's DefaultTrainer with one hook more.

    cd projects/DetNAS
    python train_net.py --config-file configs/supernet_fpn_300m.yaml MODEL.WEIGHTS model_final.pth
    python train_net.py --config-file configs/detnasnet_fpn_300m.yaml --num-gpus 8 \\
        MODEL.DETNAS.ARCHITECTURE output/best_architecture.json

What one gives up relative to the top-level train_net.py:

* Supernets train in one process only: DefaultTrainer wraps the model in DistributedDataParallel
  without find_unused_parameters, which a supernet needs, for each step leaves most weights unused.
* Images and augmentation are no function of (seed, step), so a resumed training is not the same
  as an uninterrupted one; on Detectron2 0.6 its optimizer starts anew as well.
"""

from __future__ import annotations

import weakref

import yaml
from detectron2.config import get_cfg
from detectron2.data import MetadataCatalog
from detectron2.engine import DefaultTrainer, default_argument_parser, default_setup, launch
from detectron2.evaluation import COCOEvaluator, PascalVOCDetectionEvaluator
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

import detnas_d2.data  # noqa: F401  registers its data sets
from detnas_d2.commands import add_debug, command, ending
from detnas_d2.engine import ConfigError, DetNASCheckpointer, PathResampling
from detnas_d2.modeling import add_detnas_config, find_supernet
from detnas_d2.space import UniformPathSampler

PROGRAM = "train_net.py"


class Trainer(DefaultTrainer):
    def build_hooks(self):
        # as Detectron2's, but it slices a network out of a supernet's checkpoint
        model = self.checkpointer.model
        self.checkpointer = DetNASCheckpointer(
            model, self.cfg.OUTPUT_DIR, trainer=weakref.proxy(self)
        )
        hooks = super().build_hooks()
        supernet = find_supernet(model)
        if supernet is not None:
            sampler = UniformPathSampler(supernet.space, max(self.cfg.SEED, 0))
            hooks.insert(0, PathResampling(sampler, model))
        return hooks

    @classmethod
    def build_evaluator(cls, cfg, dataset_name):
        kind = MetadataCatalog.get(dataset_name).evaluator_type
        if kind == "pascal_voc":
            return PascalVOCDetectionEvaluator(dataset_name)
        if kind == "coco":
            return COCOEvaluator(dataset_name, output_dir=cfg.OUTPUT_DIR)
        raise ConfigError(f"No evaluator for the data set {dataset_name!r} of type {kind!r}.")


def load_cfg(args):
    cfg = get_cfg()
    add_detnas_config(cfg)
    try:
        cfg.merge_from_file(args.config_file)
        cfg.merge_from_list(args.opts)
    except (AssertionError, KeyError, OSError, ValueError, yaml.YAMLError) as e:
        raise ConfigError(
            f"--config-file {args.config_file!r} and the overrides {args.opts} can't be used: {e} "
            "Expected a YAML file, as in projects/DetNAS/configs, and pairs of KEY VALUE, as in "
            "SOLVER.MAX_ITER 100."
        ) from e
    cfg.freeze()
    if "supernet" in cfg.MODEL.BACKBONE.NAME and args.num_gpus * args.num_machines > 1:
        raise ConfigError("Supernets train in one process here; take the top-level train_net.py.")
    return cfg


def work(args):
    with ending(PROGRAM, debug=args.debug):
        run(args)


def run(args):
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


@command(PROGRAM)
def main(argv):
    args = add_debug(default_argument_parser()).parse_args(argv)
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
