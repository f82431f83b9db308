#!/usr/bin/env python3
"""Search a trained supernet for the best architecture under a limit (DetNAS, Algorithm 2).

    python search_net.py                                  # COCO, FPN, the 300M space
    python search_net.py --config-file configs/demo/step3_search.py
    python search_net.py --config-file CONFIG --resume    # goes on where it was stopped
    python search_net.py --config-file CONFIG search.flops_limit=250000000
    python search_net.py --config-file CONFIG search.workers=8   # eight processes; docs/cluster.md

Writes ledger.jsonl, one line for each evaluated architecture, best_architecture.json, and
report/index.html; a Pareto search writes pareto_front.json too. Other searches than the paper's:
configs/common/search_algorithms.py.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence

from omegaconf import DictConfig
from torch import nn

from detnas_d2.commands import add_debug, command
from detnas_d2.driver import (
    SearchScalars,
    build_algorithm,
    build_executor,
    build_limit,
    build_supernet,
    retrain_commands,
    search_header,
    search_ledger,
    write_detections,
)
from detnas_d2.engine import load_config, require_supernet, setup
from detnas_d2.engine.preflight import check_run
from detnas_d2.evaluation import check_metric
from detnas_d2.search import (
    Evaluator,
    ParetoResult,
    Progress,
    format_front,
    format_top,
    write_best,
    write_front,
)
from detnas_d2.space import Architecture
from detnas_d2.trust import add_trust, is_code

ROOT = os.path.dirname(os.path.abspath(__file__))
DEFAULT_CONFIG = os.path.join(ROOT, "configs/coco/step3_search_fpn_300m.py")
logger = logging.getLogger("detnas_d2.search_net")


def search(args: argparse.Namespace) -> None:
    cfg = load_config(args.config_file, args.opts, trust=args.trust)
    check_run(cfg, "search")
    check_metric(cfg)
    model = build_supernet(cfg)
    space = require_supernet(model, "A search").space
    cost, limit = build_limit(cfg, space)
    algorithm = build_algorithm(cfg, space, limit)
    trust = is_code(args.config_file, args.trust)
    commands = retrain_commands(cfg, ROOT, trust=trust)
    folder = cfg.train.output_dir
    header = search_header(cfg, space, algorithm)
    resume = args.resume or args.retry_failed
    with search_ledger(cfg, header, space, resume=resume) as ledger:
        setup(cfg, args)  # writes config.yaml, so only once the folder is known to be this search's
        with build_executor(cfg, model) as executor, SearchScalars(folder) as scalars:
            evaluator = Evaluator(
                executor,
                cost,
                ledger,
                [Progress(algorithm.candidates), scalars],
                workers=cfg.search.workers,
                retry_failed=args.retry_failed,
            )
            result = algorithm.run(evaluator)
        best_file = os.path.join(folder, "best_architecture.json")
        write_best(best_file, result.best)
        top = format_top(result.evaluations)
        logger.info(f"The top ten of {len(result.evaluations)} architectures:\n{top}")
        if isinstance(result, ParetoResult):
            front_file = os.path.join(folder, "pareto_front.json")
            write_front(front_file, result)
            logger.info(f"The front, written to {front_file}:\n{format_front(result)}")
    if limit.limits:
        logger.info(f"The best has {limit.describe(result.best.architecture)}.")
    if result.stopped_because:
        logger.info(f"The search ended early: {result.stopped_because}.")
    lines = "".join(f"\n  {c}" for c in commands).replace("BEST", best_file)
    logger.info(f"The best is in {best_file}. To retrain it:{lines}")
    _report(cfg, model, result.best.architecture)
    if result.best.fitness == 0 and not any(result.best.metrics.values()):
        logger.warning(
            "All figures of the best are 0: nothing was detected, or nothing rightly, so the order "
            "of candidates says nothing. The supernet has learnt too little: see 'nothing was "
            "detected' in docs/faq.md."
        )


def _report(cfg: DictConfig, model: nn.Module, best: Architecture) -> None:
    """Detections of the best, and the report; the search is done, whatever fails here."""
    folder = cfg.train.output_dir
    try:
        write_detections(cfg, model, best)
    except Exception:
        logger.warning("The report goes without detections of the best:", exc_info=True)
    try:
        from detnas_d2.report import write_report  # here, for what it imports may fail too

        page = os.path.abspath(write_report(folder))
        logger.info(f"The report, for a browser: {page}")
    except Exception:
        again = f"python -m detnas_d2.report {folder}"
        logger.warning(f"No report was written; to try again: {again}", exc_info=True)


@command("search_net.py", flags=("--resume", "--retry-failed", "--trust"))
def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_trust(add_debug(parser))
    parser.add_argument("--config-file", default=DEFAULT_CONFIG, metavar="FILE")
    parser.add_argument("--resume", action="store_true", help="go on with the ledger")
    parser.add_argument(
        "--retry-failed", action="store_true", help="go on, and try failed candidates again"
    )
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="overrides: key=value")
    search(parser.parse_args(argv))


if __name__ == "__main__":
    main()
