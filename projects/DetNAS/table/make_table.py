#!/usr/bin/env python3
"""The table of the truth: every network of a small space, trained alone as a detector.

    python projects/DetNAS/table/make_table.py                # as many processes as there are cores
    python projects/DetNAS/table/make_table.py --part 0/3     # a third: 0/3, 1/3, 2/3 elsewhere
    python projects/DetNAS/table/make_table.py --merge        # pieces/*.jsonl to table.json

Trains the networks of configs/table/step4_detection.py, one on each core, and adds a line for each
to a file in pieces/ as soon as it is there. It goes on after any stop: what a piece holds is not
trained again, whatever machine it was made on. (A training that is cut itself begins anew.)

The order is fixed: SEEDED networks with three seeds each, for the reliability of one training; then
all others once. Test images choose nothing: they are scored once, when a training has ended.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import math
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.config import instantiate
from detectron2.engine import HookBase

from detnas_d2.commands import command, new_parser
from detnas_d2.data import TABLE_DIGITS, datasets_root, write_digits
from detnas_d2.durations import duration
from detnas_d2.engine import ConfigError, LazyTrainer, load_config
from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.evaluation.cpu import device_name, keep_freed_memory
from detnas_d2.evaluation.images import SearchImages, load_images
from detnas_d2.evaluation.inference import evaluate_images, quiet
from detnas_d2.evaluation.short_training import TrainerWithoutFiles
from detnas_d2.files import write_atomically
from detnas_d2.ranking import rank_figures
from detnas_d2.space import Architecture, CostTable, SearchSpace

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CONFIG = ROOT / "configs/table/step4_detection.py"
SEEDED, SEEDS = 24, (0, 1, 2)  # networks with all of the seeds; the others have the first
SHARES = (0.125, 0.25, 0.5)  # of the training, after which the validation images are scored
VERSIONS = ("torch", "torchvision", "detectron2", "numpy", "hotcoco")
FIGURES = ("AP", "AP50", "APs", "APm")  # no digit is large by COCO's measure


class Job(NamedTuple):
    architecture: tuple[int, ...]
    seed: int


def jobs(space: SearchSpace) -> list[Job]:
    every = list(itertools.product(*space.options))
    order = [every[i] for i in np.random.default_rng(0).permutation(len(every))]
    seeded = [Job(a, seed) for a in order[:SEEDED] for seed in SEEDS]
    return seeded + [Job(a, SEEDS[0]) for a in order[SEEDED:]]


# one training


class TableTrainer(TrainerWithoutFiles):
    """On images that are decoded once, in channels last, with a curve."""

    def __init__(self, cfg: Any, score: Callable[[Any], dict[str, Any]]) -> None:
        self.curve = Curve(score)
        super().__init__(cfg)

    @classmethod
    def build_model(cls, cfg: Any) -> Any:
        return super().build_model(cfg).to(memory_format=torch.channels_last)

    @classmethod
    def build_train_loader(cls, cfg: Any) -> Any:
        loader: Any = super().build_train_loader(cfg)
        loader.dataset._mapper = Once(loader.dataset._mapper)
        return loader

    def build_hooks(self) -> list[HookBase | None]:
        return [*super().build_hooks(), self.curve]


class Once:
    """A mapper without random augmentation, whose results are kept for all trainings."""

    _results: dict[str, Any] = {}

    def __init__(self, mapper: Callable[[Any], Any]) -> None:
        self._mapper = mapper

    def __call__(self, record: dict[str, Any]) -> Any:
        file = record["file_name"]
        if file not in self._results:
            self._results[file] = self._mapper(record)
        return self._results[file]


class Curve(HookBase):
    """Scores after SHARES of the training, and the mean loss of its last twentieth."""

    def __init__(self, score: Callable[[Any], dict[str, Any]]) -> None:
        self._score = score
        self.scores: dict[str, Any] = {}
        self.losses: list[float] = []

    def after_step(self) -> None:
        done, whole = self.trainer.iter + 1, self.trainer.max_iter
        if done > 0.95 * whole:
            self.losses.append(float(self.trainer.storage.latest()["total_loss"][0]))
        for share in SHARES:
            if done == round(share * whole):
                self.scores[str(share)] = self._score(self.trainer.model)["AP"]


class Scorer:
    """Figures of a model on the images of a part, which are decoded once; percent, rounded."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[SearchImages, Any]] = {}

    def __call__(self, cfg: Any, model: Any, part: str) -> dict[str, float | None]:
        if part not in self._parts:
            name = f"table_digits_{part}"
            loader = LazyTrainer.build_test_loader(cfg, name)
            images = load_images(cfg, loader, 0, 25, 8)
            self._parts[part] = images, LazyTrainer.build_evaluator(cfg, name)
        images, evaluator = self._parts[part]
        was_training = model.training
        with quiet():
            found = evaluate_images(model.eval(), images, evaluator, "bbox/AP")["bbox"]
        model.train(was_training)
        return {f: None if math.isnan(found[f]) else round(float(found[f]), 3) for f in FIGURES}


score = Scorer()


def train(job: Job, overrides: Sequence[str]) -> dict[str, Any]:
    """The line of a training in a piece."""
    start = time.perf_counter()
    architecture = ",".join(map(str, job.architecture))
    with tempfile.TemporaryDirectory() as folder:
        own = (f"model.backbone.bottom_up.architecture={architecture}", f"train.seed={job.seed}")
        cfg = load_config(str(CONFIG), [*own, f"train.output_dir={folder}", *overrides])
        trainer = TableTrainer(cfg, lambda model: score(cfg, model, "val"))
        trainer.train()
        return {
            "architecture": list(job.architecture),
            "seed": job.seed,
            "test": score(cfg, trainer.model, "test"),
            "validation": score(cfg, trainer.model, "val"),
            "validation_at": trainer.curve.scores,
            "loss": round(statistics.fmean(trainer.curve.losses), 5),
            "seconds": round(time.perf_counter() - start, 1),
            "config": fingerprint(overrides),
            "processor": device_name("cpu"),
            "versions": {name: version(name) for name in VERSIONS},
        }


def fingerprint(overrides: Sequence[str]) -> str:
    """Of all that the trainings of a table have in common."""
    cfg = load_config(str(CONFIG), overrides)
    keys = ("model", "dataloader", "optimizer", "lr_multiplier")
    return f"{config_hash(cfg, keys)[:16]}, {cfg.train.max_iter} iterations"


def set_up() -> None:
    """Of a process that trains."""
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    keep_freed_memory()


# pieces


def read_pieces(folder: Path, overrides: Sequence[str]) -> dict[Job, dict[str, Any]]:
    """The first line of each training; a line that a stop has cut is none.

    Raises:
        ConfigError: a piece of another table.
    """
    found: dict[Job, dict[str, Any]] = {}
    wanted = fingerprint(overrides)
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record["config"] != wanted:
                raise ConfigError(
                    f"{file} was made by the config {record['config']}, this is {wanted}; take "
                    "another folder: --pieces."
                )
            found.setdefault(Job(tuple(record["architecture"]), record["seed"]), record)
    return found


def make(args: argparse.Namespace) -> None:
    """Train what no piece holds yet of a part, on all cores."""
    space = instantiate(load_config(str(CONFIG)).model.backbone.bottom_up.space)
    number, of = args.part
    known = read_pieces(args.pieces, args.overrides)
    missing = [job for job in jobs(space)[number::of] if job not in known][: args.limit]
    args.pieces.mkdir(parents=True, exist_ok=True)
    file = args.pieces / f"{platform.node()}_{number}of{of}.jsonl"
    write_digits(datasets_root() / "table_digits", TABLE_DIGITS)
    is_cut = file.exists() and not file.read_bytes().endswith(b"\n")
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(args.processes, spawn, set_up) as pool,
        open(file, "a") as piece,
    ):
        piece.write("\n" * is_cut)
        start = time.monotonic()
        trainings = [pool.submit(train, job, args.overrides) for job in missing]
        for done, training in enumerate(as_completed(trainings), 1):
            record = training.result()
            piece.write(json.dumps(record) + "\n")
            piece.flush()
            os.fsync(piece.fileno())
            left = (time.monotonic() - start) / done * (len(missing) - done)
            what = f"{record['architecture']}, seed {record['seed']}: AP {record['test']['AP']}"
            print(f"{done}/{len(missing)} {what}, {duration(left)} left", flush=True)


# the table


def merge(args: argparse.Namespace) -> None:
    """Write the table of what the pieces hold, and say what it is worth."""
    cfg = load_config(str(CONFIG))
    space: SearchSpace = instantiate(cfg.model.backbone.bottom_up.space)
    cost = CostTable(space, (TABLE_DIGITS.image_size,) * 2)
    runs: dict[Architecture, list[dict[str, Any]]] = {}
    for job, record in sorted(read_pieces(args.pieces, args.overrides).items()):
        runs.setdefault(Architecture(space, job.architecture), []).append(record)
    if not runs:
        raise ConfigError(f"There is no piece in {args.pieces}; make some without --merge.")

    def figures(records: Sequence[Any], part: str) -> dict[str, list[Any]]:
        return {name: [r[part][name] for r in records] for name in FIGURES}

    architectures = [
        {
            "architecture": list(architecture),
            **figures(records, "test"),
            "validation": figures(records, "validation"),
            "validation_AP_at": {
                share: [r["validation_at"][share] for r in records] for share in map(str, SHARES)
            },
            "loss": [r["loss"] for r in records],
            "flops": cost.flops(architecture),
            "params": cost.params(architecture),
        }
        for architecture, records in runs.items()
    ]
    one = next(iter(runs.values()))[0]
    content = {
        "made": {
            "by": "projects/DetNAS/table/make_table.py",
            "config": str(CONFIG.relative_to(ROOT)),
            "fingerprint": one["config"],
            "data": asdict(TABLE_DIGITS),
            "versions": one["versions"],
            "figures": "in percent, one a seed, on the test images where it says nothing else",
        },
        "statistics": statistics_of(architectures),
        "architectures": architectures,
    }
    lines = json.dumps(content, indent=1)
    write_atomically(str(args.table), lines + "\n")
    print(json.dumps(content["statistics"], indent=1))


def statistics_of(architectures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How far one training tells architectures apart.

    ``reliability`` is 1 - variance of seeds / variance of architectures, of one seed's test AP;
    the others are those of `rank_figures`, with AP on validation images as the fitness.
    """
    alone = [a["AP"] for a in architectures]
    several = [values for values in alone if len(values) > 1]
    between = statistics.pvariance([values[0] for values in alone])
    within = statistics.fmean(statistics.variance(values) for values in several)
    validation = [statistics.fmean(a["validation"]["AP"]) for a in architectures]
    return {
        "architectures": len(alone),
        "with_several_seeds": len(several),
        "standard_deviation_of_architectures": round(between**0.5, 3),
        "standard_deviation_of_seeds": round(within**0.5, 3),
        "reliability": round(1 - within / between, 3) if between else None,
        **rank_figures(validation, alone, [a["flops"] for a in architectures]),
    }


def part_of(text: str) -> tuple[int, int]:
    """Of "1/3", the second of three."""
    number, of = map(int, text.split("/"))
    if not 0 <= number < of:
        raise ValueError
    return number, of


@command("make_table.py", interrupted="What is trained is kept; the same command goes on.")
def main(argv: Sequence[str]) -> None:
    parser = new_parser(__doc__)
    parser.add_argument("overrides", nargs="*", help="of the config, key=value")
    parser.add_argument("--part", type=part_of, default=(0, 1), metavar="I/N")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--limit", type=int, metavar="N", help="end after so many trainings")
    parser.add_argument("--pieces", type=Path, default=HERE / "pieces", metavar="DIR")
    parser.add_argument("--table", type=Path, default=HERE / "table.json", metavar="FILE")
    parser.add_argument("--merge", action="store_true", help="write the table, train nothing")
    args = parser.parse_args(argv)
    if args.merge:
        merge(args)
    else:
        make(args)


if __name__ == "__main__":
    main()
