"""How long steps will take: some iterations or one candidate of each, times their number.

    python -m detnas_d2.driver.estimate configs/coco/step2_supernet_fpn_300m.py --num-gpus 8
    python -m detnas_d2.driver.estimate configs/demo/step*.py
    python -m detnas_d2.driver.estimate CONFIG train.max_iter=10000     # with overrides

Needs the data, and the device that the configs name; of several GPUs it takes one, with its share
of the batch: waiting for the others comes on top. Weights are random ones, which change the time
little, so no checkpoint is needed. Nothing is written.
"""

from __future__ import annotations

import copy
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from detectron2.config import LazyCall, instantiate
from omegaconf import DictConfig
from tabulate import tabulate
from torch import nn

from ..commands import command, new_parser
from ..durations import duration
from ..engine import ConfigError, LazyTrainer, backbone_node, build_trainer, load_config
from ..engine.machines import is_cuda, wrong_device
from ..evaluation import CandidateFitness
from ..evaluation.cpu import with_threads
from ..modeling import require_supernet
from ..space import Architecture, resolve_space
from ..trust import add_trust
from .configured import build_algorithm, build_limit

PROGRAM = "python -m detnas_d2.driver.estimate"
ITERATIONS = 8
SHORT, LONG = 8, 32  # train.max_iter of the trainings of candidates that are timed


class Predicted(NamedTuple):
    """A step's time: `each` seconds for each of `number` units."""

    name: str
    unit: str
    each: float
    number: int

    @property
    def seconds(self) -> float:
        return self.each * self.number


def predict(name: str, cfg: DictConfig, gpus: int = 0) -> Predicted:
    """Measure a training (without its evaluations) or a search, in a temporary folder.

    Raises:
        ConfigError: the config needs a GPU, and there is none.
        DataError, ...: what the step itself would end with, e.g. data that are not there.
    """
    processes = max(gpus, 1)
    for problem in wrong_device(cfg, processes, 0):
        raise ConfigError(f"{name}: {problem} (configs/custom: another machine in settings.py.)")
    cfg = copy.deepcopy(cfg)
    node = backbone_node(cfg)
    if str(node.get("architecture")).endswith(".json"):  # neither the cheapest nor the dearest
        space = resolve_space(instantiate(node.space))
        node.architecture = [o[i % len(o)] for i, o in enumerate(space.options)]
    cfg.train.init_checkpoint = ""
    with tempfile.TemporaryDirectory(prefix="detnas_estimate_") as folder:
        cfg.train.output_dir = folder
        if "search" in cfg:
            found = Predicted(name, "candidate", *_candidate(cfg))
        else:
            number = cfg.train.max_iter
            found = Predicted(name, "iteration", _iteration(cfg, processes), number)
    torch.cuda.empty_cache()  # for the steps, which run beside this process
    return found


def _iteration(cfg: DictConfig, processes: int) -> float:
    """Seconds, of one process with its share of the batch."""
    cfg.dataloader.train.total_batch_size //= processes
    cfg.dataloader.evaluator = None
    cfg.train.max_iter = ITERATIONS
    trainer = build_trainer(cfg)
    trainer.train()
    # of Detectron2's IterationTimer, which leaves the first ones out
    return float(trainer.storage.history("time").global_avg())


def _candidate(cfg: DictConfig) -> tuple[float, int]:
    """Seconds of one, with the threads that it will have; and their number."""
    fitness, executor = instantiate(cfg.search.fitness), instantiate(cfg.search.executor)
    model = LazyTrainer.build_model(cfg)
    costs, limit = build_limit(cfg, require_supernet(model, "A search").space)
    timed = _training if fitness.weights == "training" else _scoring
    with with_threads(executor.threads(cfg)):
        each = timed(cfg, fitness, model, limit.witness())
    return each / max(executor.workers, 1), build_algorithm(cfg, costs, limit).candidates


def _training(
    cfg: DictConfig, fitness: CandidateFitness, model: nn.Module, architecture: Architecture
) -> float:
    """Seconds of one candidate that is trained: two short ones tell what an iteration adds to the
    rest, which is to build the network and to score it."""
    whole, data = cfg.train.max_iter, fitness.load(cfg)
    lengths = [min(length, whole) for length in (1, SHORT, LONG)]  # the first warms up
    seconds = []
    for length in lengths:
        cfg.train.max_iter = length
        score = fitness.build(cfg, model, data)
        start = time.perf_counter()
        score(architecture)
        seconds.append(time.perf_counter() - start)
    _, short, long = seconds
    iteration = max(0.0, long - short) / max(lengths[2] - lengths[1], 1)
    return long + iteration * (whole - lengths[2])


def _scoring(
    cfg: DictConfig, fitness: CandidateFitness, model: nn.Module, architecture: Architecture
) -> float:
    """Seconds of any other, by the same share of both its kinds of images."""
    settings, share = cfg.search.fitness, 1.0
    if batches := settings.get("calibration_batches"):  # a fitness of one's own may have none
        share = min(1.0, 2 / batches)
        settings.calibration_batches = math.ceil(batches * share)
        test = cfg.dataloader.test
        test.dataset = LazyCall(_first)(dataset=test.dataset, share=share, names=test.dataset.names)
        fitness = instantiate(settings)
    score = fitness.build(cfg, model, fitness.load(cfg))
    score(architecture)  # warms up
    start = time.perf_counter()
    score(architecture)
    return (time.perf_counter() - start) / share


def _first(dataset: Sequence[Any], share: float, names: str) -> list[Any]:
    """That share of the images; `names` is what the trainer sets."""
    return [dataset[i] for i in range(math.ceil(len(dataset) * share))]


def estimate_table(predicted: Sequence[Predicted]) -> str:
    """A row for each step: what it repeats, how often, how long."""
    rows = [
        (p.name, f"{p.each:.3g} s", f"{p.number:,} {p.unit}s", duration(p.seconds))
        for p in predicted
    ]
    rows.append(("total", "", "", duration(sum(p.seconds for p in predicted))))
    header = ("step", "each", "times", "takes about")
    return tabulate(rows, header, colalign=("left", "right", "right", "right"))


@command(PROGRAM)
def main(argv: Sequence[str]) -> None:
    parser = add_trust(new_parser(__doc__, PROGRAM))
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="and overrides, key=value")
    parser.add_argument("--num-gpus", type=int, default=1, metavar="N")
    args = parser.parse_intermixed_args(argv)
    overrides = [c for c in args.configs if "=" in c]
    files = [c for c in args.configs if "=" not in c]
    if not files:
        parser.error("give at least one config")
    predicted = []
    for file in files:
        cfg = load_config(file, overrides, trust=args.trust)
        if "search" in cfg or "optimizer" in cfg:  # what only tests is short
            gpus = args.num_gpus if is_cuda(cfg) else 0
            predicted.append(predict(Path(file).stem, cfg, gpus))
    print(estimate_table(predicted))


if __name__ == "__main__":
    main()
