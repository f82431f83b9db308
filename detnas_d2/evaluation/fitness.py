"""Fitness of an architecture: the metric of its path in a trained supernet."""

from __future__ import annotations

import contextlib
import difflib
import io
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from detectron2.evaluation import DatasetEvaluator
from detectron2.evaluation.testing import flatten_results_dict
from omegaconf import DictConfig
from torch import nn

from ..data.seeding import seeded
from ..engine import ConfigError, require_supernet
from ..engine.trainer import LazyTrainer
from ..modeling import folded
from ..space import Architecture
from .batch_norm import calibrated
from .finite import finite_outputs
from .images import SearchImages, load_images


class SupernetFitness:
    """Scores paths of one supernet (Algorithm 2, lines 6 and 7).

    ``fitness(architecture)`` sets the path, collects batch-norm statistics for it, evaluates the
    model and leaves it as it was. The result is a pure function of the weights, the architecture,
    the data and the arguments: no call depends on another.

    Args:
        model: the detector or classifier with a trained ``Supernet``.
        calibration: batches for the batch-norm statistics.
        evaluate: maps the model in eval mode to nested metrics, as Detectron2's evaluators do.
        metric: which metric is the fitness, by its flattened name, e.g. ``bbox/AP``.
        seed: of the detector's own sampling while statistics are collected.
        amp: run in mixed precision: float16 on a GPU, bfloat16 on a CPU. Fitness differs a little.
    """

    def __init__(
        self,
        model: nn.Module,
        calibration: Sequence[Any],
        evaluate: Callable[[nn.Module], Mapping[str, Any]],
        metric: str,
        seed: int,
        amp: bool = False,
    ) -> None:
        self.supernet = require_supernet(model, "A search")
        self._model = model
        self._calibration = calibration
        self._evaluate = evaluate
        self._metric = metric
        self._seed = seed
        self._amp = amp

    def __call__(self, architecture: Architecture) -> tuple[float, dict[str, float]]:
        """
        Returns:
            the fitness, unrounded as the evaluator gives it, and all metrics by flattened name.

        Raises:
            ConfigError: if the evaluator gives other metrics; that is no candidate's fault.
            FloatingPointError: if a layer gives NaN or infinity.
            RuntimeError: if the evaluator gives no metrics, although there are detections.
        """
        with (
            quiet(),
            self.supernet.use_path(architecture),
            torch.autocast(next(self._model.parameters()).device.type, enabled=self._amp),
            calibrated(self._model, self._calibration, self._seed),
            folded(self._model),
            seeded(self._seed),
        ):
            results = self._evaluate(self._model)
        metrics = {k: float(v) for k, v in flatten_results_dict(dict(results)).items()}
        if not metrics:
            raise RuntimeError("The evaluator gives no metrics for what the model gives.")
        require_metric(self._metric, metrics)
        return metrics[self._metric], metrics


def build_fitness(
    cfg: DictConfig,
    model: nn.Module,
    images: SearchImages | None = None,
    trainer: type[LazyTrainer] = LazyTrainer,
) -> SupernetFitness:
    """The fitness that a config describes.

    The model's weights get the memory layout of `set_memory_layout`.

    Args:
        images: what ``load_images`` gives; read here by default.
        trainer: its build methods make the loader and ``dataloader.evaluator``.
    """
    if images is None:
        images = load_images(cfg, trainer)
    set_memory_layout(cfg, model)
    evaluator = trainer.build_evaluator(cfg, cfg.dataloader.test.dataset.names)

    def evaluate(model: nn.Module) -> Mapping[str, Any]:
        return evaluate_images(model, images, evaluator, cfg.search.metric)

    return SupernetFitness(
        model,
        images.calibration,
        evaluate,
        cfg.search.metric,
        seed=cfg.dataloader.calibration.seed,
        amp=cfg.search.amp,
    )


def set_memory_layout(cfg: DictConfig, model: nn.Module) -> None:
    """Lay out the weights as ``search.channels_last`` says, and with them all that is computed.

    Where it is null or absent, channels come last on a CPU and in mixed precision on a GPU.
    """
    wanted = cfg.search.get("channels_last")
    if wanted is None:
        wanted = cfg.search.amp or next(model.parameters()).device.type == "cpu"
    model.to(memory_format=torch.channels_last if wanted else torch.contiguous_format)


def require_metric(metric: str, metrics: Mapping[str, float]) -> None:
    """
    Raises:
        ConfigError: `metric` is not among what the evaluator gives.
    """
    if metric not in metrics:
        near = difflib.get_close_matches(metric, metrics, n=3)
        raise ConfigError(
            f"search.metric is {metric!r}, which the evaluator does not give; choose "
            f"one of {', '.join(near or sorted(metrics))}."
        )


@torch.no_grad()
def evaluate_images(
    model: nn.Module, images: SearchImages, evaluator: DatasetEvaluator, metric: str
) -> Mapping[str, Any]:
    """What Detectron2's ``inference_on_dataset`` gives, on the images of a search.

    The evaluator gets the images one by one in the order of the data set, so that equal scores are
    ordered as they would be there. Detectron2's gives no figure, or NaN only, where nothing was
    detected in any image; the AP of that is 0, and so is `metric`.

    Raises:
        FloatingPointError: what the network computes of an image is not finite.
    """
    evaluator.reset()
    waiting: dict[int, tuple[Any, Any]] = {}
    following = 0
    detected: list[int] = []
    with finite_outputs(model):
        for batch, positions in zip(images.validation, images.positions, strict=True):
            outputs = model(batch)
            waiting.update(zip(positions, zip(batch, outputs, strict=True), strict=True))
            while following in waiting:
                image, output = waiting.pop(following)
                evaluator.process([image], [output])
                following += 1
                if isinstance(output, Mapping) and "instances" in output:
                    detected.append(len(output["instances"]))
    results = evaluator.evaluate() or {}
    if detected and not any(detected):
        flat = flatten_results_dict(dict(results))
        if all(math.isnan(figure) for figure in flat.values()):
            return {**flat, metric: 0.0}
    return results


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
