"""Fitness of an architecture: the metric of its path in a trained supernet."""

from __future__ import annotations

import contextlib
import difflib
import io
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from detectron2.config import instantiate
from detectron2.evaluation import inference_on_dataset
from detectron2.evaluation.testing import flatten_results_dict
from omegaconf import DictConfig
from torch import nn

from ..data.seeding import seeded
from ..engine import ConfigError, require_supernet
from ..engine.trainer import LazyTrainer
from ..space import Architecture
from .batch_norm import calibrated


class SupernetFitness:
    """Scores paths of one supernet (DetNAS section 3.3, "path-wise" evaluation).

    ``fitness(architecture)`` sets the path, collects batch-norm statistics for it, evaluates the
    model and leaves it as it was. The result is a pure function of the weights, the architecture,
    the data and the arguments: no call depends on another.

    Args:
        model: the detector or classifier with a trained ``ShuffleNetV2Supernet``.
        calibration: batches for the batch-norm statistics.
        evaluate: maps the model in eval mode to nested metrics, as Detectron2's evaluators do.
        metric: which metric is the fitness, by its flattened name, e.g. ``bbox/AP``.
        seed: of the detector's own sampling while statistics are collected.
    """

    def __init__(
        self,
        model: nn.Module,
        calibration: Sequence[Any],
        evaluate: Callable[[nn.Module], Mapping[str, Any]],
        metric: str,
        seed: int,
    ) -> None:
        self.supernet = require_supernet(model, "A search")
        self._model = model
        self._calibration = calibration
        self._evaluate = evaluate
        self._metric = metric
        self._seed = seed

    def __call__(self, architecture: Architecture) -> tuple[float, dict[str, float]]:
        """
        Returns:
            the fitness, unrounded as the evaluator gives it, and all metrics by flattened name.

        Raises:
            ConfigError: if the evaluator gives other metrics; that is no candidate's fault.
            RuntimeError: if it gives none, as where nothing was detected.
        """
        with (
            _quiet(),
            self.supernet.use_path(architecture),
            calibrated(self._model, self._calibration, self._seed),
            seeded(self._seed),
        ):
            results = self._evaluate(self._model)
        metrics = {k: float(v) for k, v in flatten_results_dict(dict(results)).items()}
        if not metrics:
            raise RuntimeError("The evaluator gives no metrics: no object was detected.")
        if self._metric not in metrics:
            near = difflib.get_close_matches(self._metric, metrics, n=3)
            raise ConfigError(
                f"search.metric is {self._metric!r}, which the evaluator does not give; choose "
                f"one of {', '.join(near or sorted(metrics))}."
            )
        return metrics[self._metric], metrics


def build_fitness(
    cfg: DictConfig, model: nn.Module, trainer: type[LazyTrainer] = LazyTrainer
) -> SupernetFitness:
    """The fitness that a config describes.

    ``dataloader.calibration`` gives the images of the batch-norm statistics (the first
    ``search.calibration_batches`` batches), ``dataloader.test`` and ``dataloader.evaluator`` the
    validation set and its metrics, through the `trainer`'s build methods.
    """
    loader = instantiate(cfg.dataloader.calibration)
    batches = list(itertools.islice(iter(loader), cfg.search.calibration_batches))
    name = cfg.dataloader.test.dataset.names
    test_loader = trainer.build_test_loader(cfg, name)
    evaluator = trainer.build_evaluator(cfg, name)

    def evaluate(model: nn.Module) -> Mapping[str, Any]:
        return inference_on_dataset(model, test_loader, evaluator)

    seed = cfg.dataloader.calibration.seed
    return SupernetFitness(model, batches, evaluate, cfg.search.metric, seed)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the report that evaluators print and log for every evaluation."""
    loggers = [logging.getLogger(n) for n in ("detectron2.evaluation", "fvcore.nn.precise_bn")]
    loggers += [
        logging.getLogger(n)
        for n in logging.root.manager.loggerDict
        if n.startswith("detectron2.evaluation.")
    ]
    levels = [x.level for x in loggers]
    try:
        for x in loggers:
            x.setLevel(logging.WARNING)
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for x, level in zip(loggers, levels, strict=True):
            x.setLevel(level)
