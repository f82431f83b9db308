"""Fitness of an architecture: the metric of its path in a trained supernet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch
from omegaconf import DictConfig
from torch import nn

from ..engine import LazyTrainer
from ..rules import FLAG, number, require, whole
from ..space import Architecture
from .images import SearchImages, load_images
from .metric import METRIC, check_metric
from .scoring import PathScore

# architecture -> (fitness, more is better; every figure by name)
Score: TypeAlias = Callable[[Architecture], tuple[float, dict[str, float]]]


class CandidateFitness:
    """What ``search.fitness`` makes: says how candidates are scored. The base of one's own.

    It is made of its settings alone, in the process of ``search_net.py`` and in each worker, and
    its constructor refuses settings that can't work, by ConfigError.

    Attributes:
        metric: what is shown as the name of the fitness.
        weights: where those of a candidate come from. "supernet": they are loaded from
            ``train.init_checkpoint``, once for all; "training": each candidate is trained, from
            scratch or from that file; "none": no network runs, as where figures are looked up.
        loaders: keys of ``dataloader`` that the results depend on. A search is refused without one
            of them, and their data sets stand in the ledger's header.
        config_keys: keys of the config that the results depend on, for the same header.
    """

    metric = "fitness"
    weights: Literal["supernet", "training", "none"] = "supernet"
    loaders: tuple[str, ...] = ("calibration", "test", "evaluator")
    config_keys: tuple[str, ...] = ("model", "dataloader", "search")

    def check(self, cfg: DictConfig) -> None:
        """Refuse, before checkpoint and images are loaded, what no candidate can be scored by.

        Raises:
            ConfigError: with what to do.
        """

    def load(self, cfg: DictConfig) -> Any:
        """Data that all candidates share, read once. Workers get it by pickle, and NumPy arrays in
        it are mapped there, not copied, and read-only."""

    def build(self, cfg: DictConfig, model: nn.Module, data: Any) -> Score:
        """The function that scores a candidate; it has to be a pure function of the architecture.

        Args:
            model: on ``train.device``, with the supernet's weights if `weights` says so.
            data: what `load` gives.
        """
        raise NotImplementedError


class SupernetFitness(CandidateFitness):
    """A metric of the path in the trained supernet (Algorithm 2, lines 6 and 7).

    Scoring sets the path, collects batch-norm statistics for it, evaluates the model on the images
    of ``dataloader.test`` and leaves it as it was. The result is a pure function of the weights,
    the architecture, the data and the settings: no call depends on another.

    Args:
        metric: of ``dataloader.evaluator``, by its flattened name, e.g. ``bbox/AP``.
        calibration_batches: of ``dataloader.calibration``, for the statistics.
        batch_size: validation images a forward, all of one size: changes rounding only.
        amp: mixed precision: float16 on a GPU, bfloat16 on a CPU. Fitness differs a little.
        channels_last: memory layout of weights, and so of all that is computed. None: channels
            come last on a CPU, and on a GPU with `amp`. Changes rounding only.
        cache_memory: GiB for decoded images; more of them go to a file in ``train.output_dir``.

    Raises:
        ConfigError: for a setting that can't work.
    """

    def __init__(
        self,
        metric: str,
        calibration_batches: int = 250,
        batch_size: int = 4,
        amp: bool = False,
        channels_last: bool | None = None,
        cache_memory: float = 8,
    ) -> None:
        require(
            "search.fitness",
            metric=(metric, METRIC),
            calibration_batches=(calibration_batches, whole(1)),
            batch_size=(batch_size, whole(1)),
            amp=(amp, FLAG),
            channels_last=(channels_last, FLAG.or_null()),
            cache_memory=(cache_memory, number("GiB", zero=True)),
        )
        self.metric = metric
        self.calibration_batches = calibration_batches
        self.batch_size = batch_size
        self.amp = amp
        self.channels_last = channels_last
        self.cache_memory = cache_memory

    def check(self, cfg: DictConfig) -> None:
        """As `check_metric`."""
        check_metric(cfg, self.metric)

    def load(self, cfg: DictConfig) -> SearchImages:
        """Raises DataError: the disk is full, or an image can't be read."""
        loader = LazyTrainer.build_test_loader(cfg, cfg.dataloader.test.dataset.names)
        sizes = (self.calibration_batches, self.batch_size, self.cache_memory)
        return load_images(cfg, loader, *sizes)

    def build(self, cfg: DictConfig, model: nn.Module, data: SearchImages) -> Score:
        """
        Returns:
            the function, in phases. Its fitness is unrounded, as the evaluator gives it. It raises
            ConfigError if the evaluator gives other metrics (that is no candidate's fault),
            FloatingPointError if a layer gives NaN or infinity, RuntimeError if the evaluator gives
            no metrics, although there are detections.
        """
        self.lay_out(model)
        evaluator = LazyTrainer.build_evaluator(cfg, cfg.dataloader.test.dataset.names)
        seed = cfg.dataloader.calibration.seed
        return PathScore(model, data, evaluator, self.metric, seed, self.amp)

    def lay_out(self, model: nn.Module) -> None:
        """Lay out the weights as `channels_last` says."""
        last = self.channels_last
        if last is None:
            last = self.amp or next(model.parameters()).device.type == "cpu"
        model.to(memory_format=torch.channels_last if last else torch.contiguous_format)
