#!/usr/bin/env python3
"""Search a trained supernet for the best architecture under a limit (DetNAS, Algorithm 2).

    python search_net.py                                  # COCO, FPN, the 300M space
    python search_net.py --config-file configs/demo/step3_search.py
    python search_net.py --config-file CONFIG --resume    # goes on where it was stopped
    python search_net.py --config-file CONFIG search.flops_limit=250000000

Writes ledger.jsonl, one line for each evaluated architecture, and best_architecture.json.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import sys

import torch
from detectron2.config import instantiate
from detectron2.engine import default_setup
from omegaconf import DictConfig, OmegaConf

from detnas_d2.engine import ConfigError, DetNASCheckpointer, LazyTrainer, load_config
from detnas_d2.engine.preflight import check_run
from detnas_d2.errors import DetNASError
from detnas_d2.evaluation import build_fitness
from detnas_d2.search import (
    Evaluator,
    FlopsLimit,
    InProcessExecutor,
    Ledger,
    Progress,
    format_top,
    write_best,
)
from detnas_d2.space import CostTable, SearchSpace

DEFAULT_CONFIG = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "configs/coco/step3_search_fpn_300m.py"
)
logger = logging.getLogger("detnas_d2.search_net")


def main(args: argparse.Namespace) -> None:
    cfg = load_config(args.config_file, args.opts)
    if "search" not in cfg:
        raise ConfigError(f"{args.config_file} has no 'search'; it is not a config of a search.")
    check_run(cfg)
    if not cfg.train.init_checkpoint:
        raise ConfigError("train.init_checkpoint is empty; a search needs a trained supernet.")
    default_setup(cfg, args)
    model = LazyTrainer.build_model(cfg)
    DetNASCheckpointer(model).load(cfg.train.init_checkpoint, checkpointables=[])
    fitness = build_fitness(cfg, model)
    space = fitness.supernet.space
    cost = CostTable(space, tuple(cfg.search.input_size))
    limit = FlopsLimit(cost, cfg.search.flops_limit)
    limit.check()
    settings = cfg.search.algorithm
    folder = cfg.train.output_dir
    with Ledger(
        os.path.join(folder, "ledger.jsonl"), header(cfg, space), space, resume=args.resume
    ) as ledger:
        progress = Progress(settings.population * settings.generations)
        evaluator = Evaluator(InProcessExecutor(fitness), cost, ledger, progress)
        algorithm = instantiate(
            {**settings, "space": space, "evaluate": evaluator, "limit": limit,
             "seed": cfg.search.seed}
        )  # fmt: skip
        result = algorithm.run()
    best_file = os.path.join(folder, "best_architecture.json")
    write_best(best_file, result.best)
    logger.info(f"The top ten of {len(result.evaluations)} architectures:\n"
                + format_top(result.evaluations))
    logger.info(f"The best is in {best_file}. To retrain it:\n  python train_net.py --config-file "
                f"{cfg.search.retrain_config} {cfg.search.architecture_key}={best_file}")


def header(cfg: DictConfig, space: SearchSpace) -> dict[str, object]:
    """What the fitness of an architecture depends on besides the architecture."""
    relevant = {k: cfg[k] for k in ("model", "dataloader", "search")}
    text = OmegaConf.to_yaml(OmegaConf.create(relevant, flags={"allow_objects": True}))
    with open(cfg.train.init_checkpoint, "rb") as f:
        checkpoint = hashlib.file_digest(f, "sha256").hexdigest()
    return {
        "space": space.name,
        "space_fingerprint": space.fingerprint,
        "config_hash": hashlib.sha256(text.encode()).hexdigest(),
        "checkpoint_hash": checkpoint,
        "seed": cfg.search.seed,
        "threads": torch.get_num_threads(),
    }
