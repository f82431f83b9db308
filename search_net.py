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
import logging
import os
import sys
from importlib.metadata import version
from typing import Any

import torch
from detectron2.config import instantiate
from omegaconf import DictConfig

from detnas_d2.engine import (
    DetNASCheckpointer,
    LazyTrainer,
    backbone_key,
    load_config,
    require_supernet,
    setup,
)
from detnas_d2.engine.fingerprint import config_hash, file_hash
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
    make_header,
    write_best,
)
from detnas_d2.space import CostTable, SearchSpace

ROOT = os.path.dirname(os.path.abspath(__file__))
DEFAULT_CONFIG = os.path.join(ROOT, "configs/coco/step3_search_fpn_300m.py")
logger = logging.getLogger("detnas_d2.search_net")


def main(args: argparse.Namespace) -> None:
    cfg = load_config(args.config_file, args.opts)
    check_run(cfg, "search")
    model = LazyTrainer.build_model(cfg)
    space = require_supernet(model, "A search").space
    cost = CostTable(space, tuple(cfg.search.input_size))
    limit = FlopsLimit(cost, cfg.search.flops_limit)
    limit.witness()
    commands = retrain_commands(cfg)
    folder = cfg.train.output_dir
    ledger_file = os.path.join(folder, "ledger.jsonl")
    with Ledger(ledger_file, search_header(cfg, space), space, resume=args.resume) as ledger:
        setup(cfg, args)  # writes config.yaml, so only once the folder is known to be this search's
        DetNASCheckpointer(model).load(cfg.train.init_checkpoint, checkpointables=[])
        executor = InProcessExecutor(build_fitness(cfg, model))
        evaluator = Evaluator(executor, cost, ledger, Progress(candidates(cfg)))
        algorithm = instantiate(
            {
                **cfg.search.algorithm,
                "space": space,
                "evaluate": evaluator,
                "limit": limit,
                "seed": cfg.search.seed,
            }
        )
        result = algorithm.run()
    best_file = os.path.join(folder, "best_architecture.json")
    write_best(best_file, result.best)
    top = format_top(result.evaluations)
    logger.info(f"The top ten of {len(result.evaluations)} architectures:\n{top}")
    if result.stopped_because:
        logger.info(f"The search ended early: {result.stopped_because}.")
    lines = "".join(f"\n  {c}" for c in commands).replace("BEST", best_file)
    logger.info(f"The best is in {best_file}. To retrain it:{lines}")


def search_header(cfg: DictConfig, space: SearchSpace) -> dict[str, Any]:
    """The ledger's header: all that the candidates and their fitness depend on."""
    config = config_hash(cfg, ("model", "dataloader", "search"))
    header = make_header(space, config, file_hash(cfg.train.init_checkpoint), cfg.search.seed)
    # convolutions round otherwise with another number of threads, ties are ordered otherwise by
    # another Detectron2
    return {
        **header,
        "device": cfg.train.device,
        "threads": torch.get_num_threads(),
        "torch": version("torch"),
        "detectron2": version("detectron2"),
    }


def retrain_commands(cfg: DictConfig) -> list[str]:
    """The commands that train the best architecture, written BEST, alone (step 4)."""
    commands = (
        []
        if cfg.search.retrain
        else ["python train_net.py --config-file STEP4_CONFIG model.backbone.architecture=BEST"]
    )
    for config in cfg.search.retrain:
        here = config if os.path.isfile(config) else os.path.join(ROOT, config)
        key = backbone_key(load_config(here))
        command = f"python train_net.py --config-file {config} {key}.architecture=BEST"
        commands.append(command)
    return commands


def candidates(cfg: DictConfig) -> int:
    """How many candidates the search evaluates at most."""
    algorithm = cfg.search.algorithm
    if "architectures" in algorithm:
        return len(algorithm.architectures)
    return algorithm.get("count") or algorithm.population * algorithm.generations


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", default=DEFAULT_CONFIG, metavar="FILE")
    parser.add_argument("--resume", action="store_true", help="go on with the ledger")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="overrides: key=value")
    try:
        main(parser.parse_args())
    except DetNASError as e:
        sys.exit(f"search_net.py: {e}")
