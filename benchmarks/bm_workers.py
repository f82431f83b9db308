"""Two worker processes against one, each of one thread: on one candidate of a search, and on some.

    python benchmarks/bm_workers.py

BCCD, the 300M space at 320 px (8 batches of 4 images for batch norm, 12 for validation), by the
executors of search_net.py. One candidate is shared out batch by batch. Candidates are the same
architecture, so that both have the same work to share. Workers have started and are warm.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # noqa: E402  before torch is imported

import torch
from detectron2.config import LazyCall as L
from detectron2.config import instantiate
from measuring import PATH, alternate, bccd, first, mark, parser, report

from detnas_d2.driver import DefaultExecutor
from detnas_d2.engine import LazyTrainer
from detnas_d2.modeling import require_supernet
from detnas_d2.search import Executor
from detnas_d2.search.ray_session import ray_session
from detnas_d2.space import Architecture

MARKS = {1: 1.7, 4: 1.8}
"""By the number of candidates."""


def main(args: argparse.Namespace) -> None:
    logging.disable(logging.INFO)
    cfg = bccd("step3_search_fpn")
    cfg.search.fitness.calibration_batches = 8
    cfg.dataloader.test.dataset = L(first)(names="bccd_val", count=48)
    cfg.train.output_dir = os.path.abspath("output/bm_workers")
    torch.manual_seed(0)
    model = LazyTrainer.build_model(cfg)
    space = require_supernet(model, "A search").space
    architecture = Architecture.parse(PATH, space)
    with ExitStack() as stack:
        stack.enter_context(ray_session(None, cpus=3, gpus=0))
        fitness = instantiate(cfg.search.fitness)
        values = set()

        def contender(executor: Executor, candidates: int) -> Callable[[], None]:
            def run() -> None:
                for m in executor.run([architecture] * candidates):
                    assert m.error is None, m.error
                    values.add(m.fitness)

            return run

        one, two = (
            stack.enter_context(DefaultExecutor(workers).open(cfg, fitness, model))
            for workers in (1, 2)
        )
        figures: dict[str, Any] = {}
        for count, least in MARKS.items():
            contenders = {"one": contender(one, count), "two": contender(two, count)}
            begin, used = time.perf_counter(), time.process_time()
            ratio, seconds = alternate(contenders, args.rounds)
            share = (time.process_time() - used) / (time.perf_counter() - begin)
            figures[f"candidates_{count}"] = {"ratio": ratio, **seconds, "driver_share": share}
            mark(f"{count}: two workers at least {least} times as fast", ratio >= least)
    assert len(values) == 1, "workers give different fitness"
    report("workers", {"ratio": figures["candidates_1"]["ratio"], **figures})


if __name__ == "__main__":
    main(parser(__doc__).parse_args())
