"""How long steps will take, from a short measurement of each; and what would make them shorter.

    python -m detnas_d2.driver.estimate configs/coco/step2_supernet_fpn_300m.py --num-gpus 8
    python -m detnas_d2.driver.estimate configs/demo/step*.py
    python -m detnas_d2.driver.estimate CONFIG train.max_iter=10000     # with overrides

Needs the data, and the device that the configs name; of several GPUs it takes one, with its share
of the batch. No checkpoint is needed, and nothing is written.
"""

from __future__ import annotations

import argparse
import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from detectron2.config import instantiate
from omegaconf import DictConfig, OmegaConf
from tabulate import tabulate

from ..commands import add_debug, command
from ..durations import duration
from ..engine import ConfigError, backbone_node, load_config
from ..engine.fingerprint import config_hash
from ..engine.machines import visible_gpus
from ..space import resolve_space
from ..trust import add_trust
from .algorithms import build_algorithm
from .estimate_measure import CandidateTime, measure_candidate, measure_test, measure_training
from .limits import build_limit

DAY = 86_400.0
OVER_A_DAY = "That is over a day."
START = 8.0
"""Seconds until a step's process has loaded its modules and its data."""


@dataclass(frozen=True)
class Planned:
    """A step to come.

    Attributes:
        kind: "train", "search" or "test".
        gpus: of a training or test; 0 for a CPU.
    """

    name: str
    kind: str
    cfg: DictConfig
    gpus: int = 0


@dataclass(frozen=True)
class Predicted:
    """A step's time: `each` seconds for each of `count` units, and `fixed` seconds once."""

    name: str
    unit: str
    each: float
    count: int
    fixed: float

    @property
    def seconds(self) -> float:
        return self.each * self.count + self.fixed


@dataclass
class Estimator:
    """Predicts steps; what several of them repeat is measured once."""

    _measured: dict[str, Any] = field(default_factory=dict)

    def predict(self, steps: Sequence[Planned]) -> list[Predicted]:
        """
        Raises:
            ConfigError: a config needs a GPU, and there is none.
            DataError, ...: what the step itself would end with, e.g. data that are not there.
        """
        for step in steps:
            _check_device(step)
        return [self._predict(step) for step in steps]

    def _predict(self, step: Planned) -> Predicted:
        cfg, processes = step.cfg, max(step.gpus, 1)
        if step.kind == "search":
            return self._search(step)
        if step.kind == "test":
            each, images = self._test(cfg)
            return Predicted(step.name, "image", each / processes, images, START)
        each = self._once(
            "train", cfg, ("model", "dataloader", "optimizer", "train"), measure_training, step.gpus
        )
        fixed = START
        if cfg.get("path_sampler") is None and cfg.dataloader.get("evaluator") is not None:
            image, images = self._test(cfg)
            period = cfg.train.eval_period or cfg.train.max_iter
            fixed += max(1, cfg.train.max_iter // period) * image * images / processes
        return Predicted(step.name, "iteration", each, cfg.train.max_iter, fixed)

    def _search(self, step: Planned) -> Predicted:
        cfg = step.cfg
        part: CandidateTime = self._once("search", cfg, ("model", "dataloader"), measure_candidate)
        batches = cfg.search.calibration_batches
        each = part.calibration * batches + part.image * part.images + part.evaluator
        space = resolve_space(instantiate(backbone_node(cfg).space))
        candidates = build_algorithm(cfg, space, build_limit(cfg, space)[1]).candidates
        reading = batches * cfg.dataloader.calibration.total_batch_size + part.images
        each /= max(cfg.search.workers, 1)
        return Predicted(step.name, "candidate", each, candidates, START + part.reading * reading)

    def _test(self, cfg: DictConfig) -> tuple[float, int]:
        each, images = self._once("test", cfg, ("model", "dataloader"), measure_test)
        return each, images

    def _once(
        self,
        kind: str,
        cfg: DictConfig,
        keys: Sequence[str],
        measure: Callable[..., Any],
        *more: Any,
    ) -> Any:
        """A measurement, unless there is one of a config that differs in no time."""
        whole: Any = OmegaConf.to_container(cfg, resolve=True)
        whole.pop("datasets", None)
        for key in ("max_iter", "init_checkpoint", "init_backbone_only", "checkpointer"):
            whole["train"].pop(key, None)
        same = OmegaConf.create(whole, flags={"allow_objects": True})
        if "optimizer" in same:
            same.optimizer.pop("lr", None)
        backbone_node(same).pop("architecture", None)
        for key in ("test", "calibration", "evaluator") if kind == "train" else ("evaluator",):
            same.dataloader.pop(key, None)
        place = f"{kind} {config_hash(same, [k for k in keys if k in same])} {more}"
        if place not in self._measured:
            self._measured[place] = measure(cfg, *more)
        return self._measured[place]


def _check_device(step: Planned) -> None:
    device = str(step.cfg.train.device)
    found = visible_gpus()
    if device.startswith("cuda") and found < max(step.gpus, 1):
        raise ConfigError(
            f"{step.name} is to run on {max(step.gpus, 1)} GPU(s), but PyTorch sees {found} here; "
            'for a CPU: train.device=cpu (configs/custom: machine = "cpu" in settings.py).'
        )


def total_seconds(predicted: Sequence[Predicted]) -> float:
    return sum(p.seconds for p in predicted)


def estimate_table(predicted: Sequence[Predicted]) -> str:
    """A row for each step: what it repeats, how often, how long."""
    rows: list[Sequence[Any]] = []
    for p in predicted:
        times = f"{p.count:,} {p.unit}{'s' * (p.count != 1)}"
        rows.append((p.name, f"{p.each:.3g} s", times, duration(p.seconds)))
    rows.append(("total", "", "", duration(total_seconds(predicted))))
    return tabulate(
        rows, ("step", "each", "times", "takes about"), colalign=("left", *["right"] * 3)
    )


Change = Callable[[DictConfig], None]


def _iterations(cfg: DictConfig) -> None:
    if "optimizer" in cfg:
        cfg.train.max_iter = max(1, cfg.train.max_iter // 2)


def _image_size(cfg: DictConfig) -> None:
    for loader in ("train", "test"):
        for augmentation in (
            OmegaConf.select(cfg, f"dataloader.{loader}.mapper.augmentations") or ()
        ):
            if "short_edge_length" in augmentation:
                for key in ("short_edge_length", "max_size"):
                    augmentation[key] = round(augmentation[key] * 0.6)


def _generations(cfg: DictConfig) -> None:
    algorithm = OmegaConf.select(cfg, "search.algorithm")
    for key in ("generations", "count"):
        if algorithm is not None and key in algorithm:
            algorithm[key] = max(1, algorithm[key] // 2)


def _calibration(cfg: DictConfig) -> None:
    if "search" in cfg:
        cfg.search.calibration_batches = max(1, cfg.search.calibration_batches // 2)


SMALLER: dict[str, Change] = {
    "half the iterations: train.max_iter (epochs, least, most)": _iterations,
    "images of 0.6 the size: short_edge_length, max_size (short_edge)": _image_size,
    "half the generations: search.algorithm.generations (generations)": _generations,
    "half the images for norms: search.calibration_batches (calibration_images)": _calibration,
}
"""Keys of a config (and of configs/custom/machines.py), and what changes them."""


def smaller_settings(steps: Sequence[Planned], estimator: Estimator) -> list[tuple[str, float]]:
    """What would make the steps shorter, and the predicted seconds of all of them with it."""

    def changed(*changes: Change) -> float:
        plan = []
        for step in steps:
            cfg = copy.deepcopy(step.cfg)
            for change in changes:
                change(cfg)
            plan.append(Planned(step.name, step.kind, cfg, step.gpus))
        return total_seconds(estimator.predict(plan))

    found = [(text, changed(change)) for text, change in SMALLER.items()]
    return [*found, ("all of these", changed(*SMALLER.values()))]


def smaller_table(found: Sequence[tuple[str, float]]) -> str:
    """`smaller_settings` for a reader."""
    return (
        "Smaller settings, by their keys (and in configs/custom/machines.py), "
        "and what all steps would take with them:\n"
        + tabulate(
            [(text, duration(seconds)) for text, seconds in found],
            tablefmt="plain",
            colalign=("left", "right"),
        )
    )


def kind_of(cfg: DictConfig) -> str:
    return "search" if "search" in cfg else "train" if "optimizer" in cfg else "test"


@command("python -m detnas_d2.driver.estimate")
def main(argv: Sequence[str]) -> None:
    parser = add_debug(
        argparse.ArgumentParser(
            prog="python -m detnas_d2.driver.estimate",
            description=__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    add_trust(parser)
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="and overrides, key=value")
    parser.add_argument("--num-gpus", type=int, default=1, metavar="N")
    args = parser.parse_intermixed_args(argv)
    files = [c for c in args.configs if "=" not in c]
    overrides = [c for c in args.configs if "=" in c]
    if not files:
        parser.error("give at least one config")
    steps = []
    for file in files:
        cfg = load_config(file, overrides, trust=args.trust)
        gpus = args.num_gpus if str(cfg.train.device).startswith("cuda") else 0
        name = os.path.basename(file).removesuffix(".py")
        steps.append(Planned(name, kind_of(cfg), cfg, gpus))
    estimator = Estimator()
    predicted = estimator.predict(steps)
    print(estimate_table(predicted))
    if total_seconds(predicted) > DAY:
        print(OVER_A_DAY, smaller_table(smaller_settings(steps, estimator)))


if __name__ == "__main__":
    main()
