#!/usr/bin/env python3
"""Search a trained supernet for the best architecture under a limit (DetNAS, Algorithm 2).

    python search_net.py                                  # COCO, FPN, the 300M space
    python search_net.py --config-file configs/demo/step3_search.py
    python search_net.py --config-file CONFIG --resume    # goes on where it was stopped
    python search_net.py --config-file CONFIG search.flops_limit=250000000
    python search_net.py --config-file CONFIG search.executor.workers=8   # docs/cluster.md

Writes search.json, ledger.jsonl, one line for each evaluated architecture, best_architecture.json,
and report/index.html; a Pareto search writes pareto_front.json too. Other searches than the
paper's: configs/common/search_algorithms.py; one without a supernet: docs/search.md; a fitness of
one's own: docs/extending.md.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Sequence

from detectron2.config import instantiate

from detnas_d2.commands import command, new_parser
from detnas_d2.driver import (
    build_algorithm,
    build_fitness,
    build_limit,
    retrainings,
    search_header,
    search_ledger,
    write_description,
    write_detections,
)
from detnas_d2.engine import (
    DetNASCheckpointer,
    LazyTrainer,
    load_config,
    setup,
)
from detnas_d2.engine.preflight import check_run
from detnas_d2.engine.setup import save_config
from detnas_d2.modeling import require_supernet
from detnas_d2.search import Evaluator, Progress
from detnas_d2.trust import add_trust, is_code

ROOT = os.path.dirname(os.path.abspath(__file__))
DEFAULT_CONFIG = os.path.join(ROOT, "configs/coco/step3_search_fpn_300m.py")
logger = logging.getLogger("detnas_d2.search_net")


def search(args: argparse.Namespace) -> None:
    cfg = load_config(args.config_file, args.opts, trust=args.trust)
    check_run(cfg, "search")
    executor = instantiate(cfg.search.executor)
    fitness = build_fitness(cfg)
    executor.check(cfg)
    model = LazyTrainer.build_model(executor.for_driver(cfg))
    space = require_supernet(model, "A search").space
    costs, limit = build_limit(cfg, space)
    algorithm = build_algorithm(cfg, costs, limit)
    steps = retrainings(cfg, ROOT, trust=is_code(args.config_file, args.trust))
    folder = cfg.train.output_dir
    header = search_header(cfg, fitness, space, algorithm, executor.depends_on(cfg))
    resume = args.resume or args.retry_failed
    with search_ledger(cfg, fitness, header, space, resume=resume) as ledger:
        setup(cfg, args, workers=executor.workers)
        save_config(cfg)
        write_description(cfg, fitness, costs, algorithm, steps)
        if fitness.weights == "supernet":
            DetNASCheckpointer(model).load_whole(cfg.train.init_checkpoint)
        with executor.open(cfg, fitness, model) as running:
            evaluator = Evaluator(
                running,
                costs,
                ledger,
                Progress(algorithm.candidates),
                workers=executor.workers,
                retry_failed=args.retry_failed,
            )
            result = algorithm.run(evaluator)
        best_file = result.write(folder)
    if limit.limits:
        logger.info(f"The best has {limit.describe(result.best.architecture)}.")
    lines = "".join(f"\n  {step.command(best_file)}" for step in steps)
    logger.info(f"The best is in {best_file}. To retrain it:{lines}")
    _try(
        "The report goes without detections of the best",
        lambda: write_detections(cfg, fitness, executor, model, result.best.architecture),
    )
    _try(
        f"No report was written; to try again: python -m detnas_d2.report {folder}",
        lambda: _report(folder),
    )


def _report(folder: str) -> None:
    from detnas_d2.report import write_report  # here, for what it imports may fail too

    page = os.path.abspath(write_report(folder))
    logger.info(f"The report, for a browser: {page}")


def _try(failure: str, act: Callable[[], object]) -> None:
    """The search is done, whatever fails here."""
    try:
        act()
    except Exception:
        logger.warning(failure, exc_info=True)


@command("search_net.py", flags=("--resume", "--retry-failed", "--trust"))
def main(argv: Sequence[str]) -> None:
    parser = add_trust(new_parser(__doc__))
    parser.add_argument("--config-file", default=DEFAULT_CONFIG, metavar="FILE")
    parser.add_argument("--resume", action="store_true", help="go on with the ledger")
    parser.add_argument(
        "--retry-failed", action="store_true", help="go on, and try failed candidates again"
    )
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="overrides: key=value")
    search(parser.parse_args(argv))


if __name__ == "__main__":
    main()
