"""Short measurements of what a training, a search or a test repeats, on their own data and config.

Weights are random ones: they change the time little. Nothing is written but to a temporary folder.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import logging
import tempfile
import time
from collections.abc import Iterable, Iterator
from statistics import fmean
from typing import Any, NamedTuple

import torch
from detectron2.config import instantiate
from detectron2.engine import HookBase, hooks
from detectron2.evaluation import DatasetEvaluator
from omegaconf import DictConfig

from ..engine import LazyTrainer, SupernetTrainer, backbone_node
from ..engine.hooks import Checkpointing, GracefulStop, require_supernet
from ..evaluation import build_fitness, load_images
from ..space import Architecture, resolve_space
from .executors import build_supernet
from .limits import build_limit

WARM_UP = 2  # iterations that do not count
LEAST, MOST = 6, 40  # iterations that do
SECONDS = 8.0  # after which no more are begun
IMAGES = 12  # that a candidate is measured on
CALIBRATION = 4  # batches of it
_FILES = (hooks.EvalHook, hooks.PeriodicWriter, Checkpointing, GracefulStop)


class CandidateTime(NamedTuple):
    """Seconds of a search's parts.

    Attributes:
        reading: an image, once.
        calibration: a batch for the norms' statistics of a candidate.
        image: a validation image.
        evaluator: its figures at the end of a candidate.
        images: how many validation images there are.
    """

    reading: float
    calibration: float
    image: float
    evaluator: float
    images: int


def measure_training(cfg: DictConfig, gpus: int = 1) -> float:
    """Seconds an iteration, of one process with its share of the batch: a lower bound where several
    GPUs wait for each other."""
    with _aside(cfg) as cfg:
        cfg.dataloader.train.total_batch_size //= max(gpus, 1)
        base = SupernetTrainer if cfg.get("path_sampler") is not None else LazyTrainer
        stopwatch = _Stopwatch(cfg.train.device)

        class Measured(base):  # type: ignore[misc,valid-type]
            def build_writers(self) -> list[Any]:
                return []

            def build_hooks(self) -> list[HookBase | None]:
                kept = [hook for hook in super().build_hooks() if not isinstance(hook, _FILES)]
                return [*kept, stopwatch]

        trainer = Measured(cfg)
        with contextlib.suppress(_Enough):
            trainer.train()
        return fmean(stopwatch.seconds[WARM_UP:] or stopwatch.seconds)


@torch.no_grad()
def measure_test(cfg: DictConfig) -> tuple[float, int]:
    """Seconds an image, of one process, and the number of images."""
    with _aside(cfg) as cfg:
        model = LazyTrainer.build_model(cfg).eval()
        loader: Any = LazyTrainer.build_test_loader(cfg, cfg.dataloader.test.dataset.names)
        total, done, start = len(loader.dataset), 0, 0.0
        for number, batch in enumerate(loader):
            model(batch)
            _wait(cfg.train.device)
            if number == 0:
                start = time.perf_counter()  # the first one warms up
            else:
                done += len(batch)
            if done >= IMAGES or (done and time.perf_counter() - start > SECONDS):
                break
        seconds = time.perf_counter() - start
        return seconds / max(done, 1), total


def measure_candidate(cfg: DictConfig) -> CandidateTime:
    """One candidate, on the first batches and images."""

    class Some(LazyTrainer):
        @classmethod
        def build_test_loader(cls, cfg: DictConfig, dataset_name: str) -> Iterable[Any]:
            loader: Any = super().build_test_loader(cfg, dataset_name)
            total.append(len(loader.dataset))
            return list(
                itertools.islice(loader, max(1, IMAGES // cfg.dataloader.test.get("batch_size", 1)))
            )

        @classmethod
        def build_evaluator(cls, cfg: DictConfig, dataset_name: str) -> DatasetEvaluator:
            return _Marks(super().build_evaluator(cfg, dataset_name), marks)

    marks: dict[str, float] = {}
    total: list[int] = []
    with _aside(cfg) as cfg:
        cfg.search.workers = 0
        cfg.search.calibration_batches = min(CALIBRATION, cfg.search.calibration_batches)
        model = build_supernet(cfg)
        space = require_supernet(model, "A search").space
        _, limit = build_limit(cfg, space)
        start = time.perf_counter()
        images = load_images(cfg, Some)
        calibration = sum(map(len, images.calibration))
        validation = sum(map(len, images.validation))
        reading = (time.perf_counter() - start) / (calibration + validation)
        fitness = build_fitness(cfg, model, images, Some)
        for _ in range(2):  # the first one warms up
            start = time.perf_counter()
            fitness(limit.witness())
        return CandidateTime(
            reading,
            (marks["reset"] - start) / len(images.calibration),
            (marks["evaluate"] - marks["reset"]) / validation,
            marks["end"] - marks["evaluate"],
            total[0],
        )


@contextlib.contextmanager
def _aside(cfg: DictConfig) -> Iterator[DictConfig]:
    """A copy of a config that needs no other step's files and writes to a temporary folder."""
    cfg = copy.deepcopy(cfg)
    bottom = backbone_node(cfg)
    if "architecture" in bottom and str(bottom.architecture).endswith(".json"):
        bottom.architecture = list(_middle(bottom.space))
    cfg.train.init_checkpoint = ""
    quiet = logging.getLogger("detnas_d2").level
    with tempfile.TemporaryDirectory(prefix="detnas_estimate_") as folder:
        cfg.train.output_dir = folder
        logging.getLogger("detnas_d2").setLevel(logging.WARNING)
        try:
            yield cfg
        finally:
            logging.getLogger("detnas_d2").setLevel(quiet)


def _middle(space: Any) -> Architecture:
    """Choices in turn: neither the cheapest nor the dearest."""
    space = resolve_space(instantiate(space))
    return Architecture(space, tuple(o[i % len(o)] for i, o in enumerate(space.options)))


def _wait(device: str) -> None:
    if str(device).startswith("cuda"):
        torch.cuda.synchronize()


class _Enough(BaseException):
    """Ends a training; as Detectron2's trainer logs every Exception, it is none."""


class _Stopwatch(HookBase):
    def __init__(self, device: str) -> None:
        self.seconds: list[float] = []
        self._device = device
        self._begun = 0.0

    def before_train(self) -> None:
        self._begun = self._last = time.perf_counter()

    def after_step(self) -> None:
        _wait(self._device)
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now
        done = len(self.seconds) - WARM_UP
        if done >= MOST or (done >= LEAST and now - self._begun > SECONDS):
            raise _Enough


class _Marks(DatasetEvaluator):
    """An evaluator that notes when its parts begin."""

    def __init__(self, evaluator: DatasetEvaluator, marks: dict[str, float]) -> None:
        self._evaluator, self._marks = evaluator, marks

    def reset(self) -> None:
        self._marks["reset"] = time.perf_counter()
        self._evaluator.reset()

    def process(self, inputs: Any, outputs: Any) -> None:
        self._evaluator.process(inputs, outputs)

    def evaluate(self) -> Any:
        self._marks["evaluate"] = time.perf_counter()
        try:
            return self._evaluator.evaluate()
        finally:
            self._marks["end"] = time.perf_counter()
