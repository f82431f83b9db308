"""Candidates of a search on two worker processes against one, each of one thread.

    python benchmarks/bm_workers.py

BCCD, the 300M space at 320 px (16 images for batch norm, 24 for validation), by the executors of
search_net.py. All candidates are the same architecture, so that both have the same work to share.
Workers have started and are warm.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable
from contextlib import ExitStack

os.environ["OMP_NUM_THREADS"] = "1"  # noqa: E402  before torch is imported

import torch
from detectron2.config import LazyCall as L
from detectron2.config import instantiate
from measuring import PATH, alternate, bccd, first, mark, parser, report

from detnas_d2.driver import DefaultExecutor
from detnas_d2.engine import LazyTrainer
from detnas_d2.modeling import require_supernet
from detnas_d2.search.ray_session import ray_session
from detnas_d2.space import Architecture

MARK = 1.8


def main(args: argparse.Namespace) -> None:
    logging.disable(logging.INFO)
    cfg = bccd("step3_search_fpn")
    cfg.search.fitness.calibration_batches = 4
    cfg.dataloader.test.dataset = L(first)(names="bccd_val", count=24)
    cfg.train.output_dir = os.path.abspath("output/bm_workers")
    torch.manual_seed(0)
    model = LazyTrainer.build_model(cfg)
    space = require_supernet(model, "A search").space
    work = [Architecture.parse(PATH, space)] * args.candidates
    with ExitStack() as stack:
        stack.enter_context(ray_session(None, cpus=3, gpus=0))
        fitness = instantiate(cfg.search.fitness)
        values = set()

        def contender(workers: int) -> Callable[[], None]:
            executor = stack.enter_context(DefaultExecutor(workers).open(cfg, fitness, model))

            def run() -> None:
                for m in executor.run(work):
                    assert m.error is None, m.error
                    values.add(m.fitness)

            return run

        contenders = {"one": contender(1), "two": contender(2)}
        begin, used = time.perf_counter(), time.process_time()
        ratio, seconds = alternate(contenders, args.rounds)
        share = (time.process_time() - used) / (time.perf_counter() - begin)
    assert len(values) == 1, "workers give different fitness"
    rates = {name: args.candidates / median for name, median in seconds.items()}
    mark(f"at least {MARK} times as many candidates", ratio >= MARK)
    report("workers", {"ratio": ratio, "per_second": rates, "driver_share": share})


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--candidates", type=int, default=4, help="in each measurement")
    main(arguments.parse_args())
