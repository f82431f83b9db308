"""A trainer driven by LazyConfig."""

from __future__ import annotations

import copy
import logging
import os
import weakref
from collections.abc import Iterable
from typing import Any

import torch
from detectron2.config import instantiate
from detectron2.engine import DefaultTrainer, HookBase, TrainerBase, hooks
from detectron2.evaluation import DatasetEvaluator, inference_on_dataset, print_csv_format
from detectron2.solver import LRMultiplier
from detectron2.utils import comm
from detectron2.utils.events import CommonMetricPrinter, EventWriter, TensorboardXWriter
from detectron2.utils.file_io import PathManager
from omegaconf import DictConfig, OmegaConf
from torch import nn

from ..data import DataError, categories_of
from ..data.seeding import seeded
from ..errors import DetNASError
from .checkpoint import DetNASCheckpointer
from .checkpoint_file import check_optimizer
from .hooks import Checkpointing, GracefulStop, LossNormalizer, MetricsWriting, StepSeeding
from .metrics import ResumableJSONWriter, restore_storage, storage_state
from .parallel import broadcast_model
from .preflight import dataset_names
from .train_step import PathwiseStep

logger = logging.getLogger(__name__)


class DivergedError(DetNASError, FloatingPointError):
    """A loss or a weight that is not finite any more."""


class LazyTrainer(DefaultTrainer):
    """Detectron2's DefaultTrainer for a LazyConfig, as a function of (seed, step).

    Every ``build_*`` method and ``test`` can be overridden as in DefaultTrainer. The config has
    the keys of Detectron2's own LazyConfigs: ``model``, ``optimizer``, ``lr_multiplier``,
    ``dataloader.{train,test,evaluator}`` and ``train`` (see configs/common/train.py).

    On a CPU, a training interrupted at any iteration and resumed gives the weights, optimizer state
    and metrics of the uninterrupted one, bit for bit: weight initialisation, data, augmentation and
    the detector's sampling are derived from ``train.seed`` and the iteration. The global batch is
    the same for any number of processes.

    Attributes:
        cfg: the config.
        model: the model, on ``train.device``.
        checkpointer: a ``DetNASCheckpointer`` on ``train.output_dir``.
    """

    iter: int  # set by TrainerBase
    _evaluates = True

    def __init__(self, cfg: DictConfig) -> None:
        # DefaultTrainer.__init__ reads yacs keys; what it builds is built here from the LazyConfig
        TrainerBase.__init__(self)
        self.cfg = cfg
        self.max_iter = cfg.train.max_iter
        with seeded(cfg.train.seed):
            model = self.build_model(cfg)
        optimizer = self.build_optimizer(cfg, model)
        self._loader = self.build_train_loader(cfg)
        self._trainer = PathwiseStep(model, self._loader, optimizer, amp=cfg.train.amp.enabled)
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.checkpointer = DetNASCheckpointer(
            model, cfg.train.output_dir, trainer=weakref.proxy(self)
        )
        self.checkpointer.categories = categories_of(dataset_names(cfg.dataloader.train))
        self._restored_metrics: dict[str, Any] = {}
        self._last_eval_results: dict[str, Any] | None = None
        self.register_hooks(self.build_hooks())

    # what DefaultTrainer's users override

    @classmethod
    def build_model(cls, cfg: DictConfig) -> nn.Module:
        """Instantiate ``cfg.model`` on ``cfg.train.device``."""
        model = instantiate(cfg.model).to(cfg.train.device)
        logger.info(f"Model:\n{model}")
        return model

    @classmethod
    def build_optimizer(cls, cfg: DictConfig, model: nn.Module) -> torch.optim.Optimizer:
        """Instantiate ``cfg.optimizer`` over the parameters of `model`."""
        return instantiate(_with(cfg.optimizer, "params.model", model))

    @classmethod
    def build_lr_scheduler(cls, cfg: DictConfig, optimizer: torch.optim.Optimizer) -> LRMultiplier:
        """``cfg.lr_multiplier`` (a fvcore ParamScheduler) over ``cfg.train.max_iter``."""
        return LRMultiplier(optimizer, instantiate(cfg.lr_multiplier), max_iter=cfg.train.max_iter)

    @classmethod
    def build_train_loader(cls, cfg: DictConfig) -> Iterable[Any]:
        """Instantiate ``cfg.dataloader.train``; DataError for images without an object to learn."""
        try:
            return instantiate(cfg.dataloader.train)
        except AssertionError as e:  # Detectron2's, of a data set that holds nothing
            names = ", ".join(dataset_names(cfg.dataloader.train))
            raise DataError(
                f"dataloader.train has no image with a box to learn ({names}: {e}) Add annotations,"
                " or choose another data set."
            ) from e

    @classmethod
    def build_test_loader(cls, cfg: DictConfig, dataset_name: str) -> Iterable[Any]:
        """Instantiate ``cfg.dataloader.test`` for the data set of that name."""
        return instantiate(_with(cfg.dataloader.test, "dataset.names", dataset_name))

    @classmethod
    def build_evaluator(cls, cfg: DictConfig, dataset_name: str) -> DatasetEvaluator:
        """Instantiate ``cfg.dataloader.evaluator`` for the data set of that name."""
        return instantiate(_with(cfg.dataloader.evaluator, "dataset_name", dataset_name))

    @classmethod
    def test(
        cls,
        cfg: DictConfig,
        model: nn.Module,
        evaluators: DatasetEvaluator | list[DatasetEvaluator] | None = None,
    ) -> dict[str, Any]:
        """Evaluate `model` on ``cfg.dataloader.test``.

        Args:
            evaluators: takes the place of ``build_evaluator``.

        Returns:
            the evaluator's metrics by task: ``{"bbox": {"AP": ...}}``.
        """
        name = cfg.dataloader.test.dataset.names
        if evaluators is None:
            evaluators = cls.build_evaluator(cfg, name)
        results = inference_on_dataset(model, cls.build_test_loader(cfg, name), evaluators)
        if comm.is_main_process():
            print_csv_format(results)
        return results or {}

    def build_hooks(self) -> list[HookBase | None]:
        """Hooks in their order; checkpoints come last, see ``Checkpointing``."""
        cfg, main = self.cfg.train, comm.is_main_process()
        evaluates = self._evaluates and self.cfg.dataloader.get("evaluator") is not None

        def evaluate() -> dict[str, Any]:
            # the first process's running statistics are the ones that checkpoints hold
            broadcast_model(self.model)
            self._last_eval_results = self.test(self.cfg, self.model)
            return self._last_eval_results

        return [
            hooks.IterationTimer(),
            StepSeeding(cfg.seed),
            LossNormalizer(self.model),
            hooks.LRScheduler(),
            hooks.EvalHook(cfg.eval_period, evaluate) if evaluates else None,
            MetricsWriting(self.build_writers(), period=cfg.log_period) if main else None,
            Checkpointing(self.checkpointer, **cfg.checkpointer) if main else None,
            GracefulStop(self.checkpointer),
        ]

    def build_writers(self) -> list[EventWriter]:
        """Console, ``metrics.json`` and TensorBoard, as ``default_writers``."""
        folder = self.cfg.train.output_dir
        PathManager.mkdirs(folder)
        return [
            CommonMetricPrinter(self.max_iter),
            # the first iteration is known only after resume_or_load
            ResumableJSONWriter(os.path.join(folder, "metrics.json"), lambda: self.start_iter),
            TensorboardXWriter(folder),
        ]

    # the training itself

    def resume_or_load(self, resume: bool = True) -> None:
        """Go on from the last checkpoint in the output folder, or load ``train.init_checkpoint``,
        of it the part that ``train.init_backbone_only`` and ``train.init_path_only`` name.

        Raises:
            CheckpointError: if the file is missing, damaged, or of another network.
        """
        train = self.cfg.train
        if resume and self.checkpointer.has_checkpoint():
            self.checkpointer.load(self.checkpointer.get_checkpoint_file())
            self.start_iter = self.iter + 1
        else:
            self.checkpointer.load_initial(
                train.get("init_checkpoint"),
                backbone_only=train.get("init_backbone_only", False),
                path_only=train.get("init_path_only", False),
            )
        broadcast_model(self.model)

    def train(self) -> dict[str, Any] | None:
        """Train from ``start_iter``; returns the results of the last evaluation."""
        try:
            TrainerBase.train(self, self.start_iter, self.max_iter)
        except FloatingPointError as e:
            raise DivergedError(
                f"The training diverged at iteration {self.iter}: {e} Go on from the last "
                "checkpoint with --resume and a smaller optimizer.lr, or begin anew with a longer "
                "warm-up (lr_multiplier.warmup_length)."
            ) from e
        finally:
            self._trainer.close()
        return self._last_eval_results

    def before_train(self) -> None:
        # where nothing is left to train, Detectron2 starts behind the last iteration; the hooks
        # expect the last one, as at the end of an uninterrupted run
        self.iter = min(self.iter, self.max_iter - 1)
        restore_storage(self.storage, self._restored_metrics)
        super().before_train()
        sampler = getattr(self._loader, "batch_sampler", None)
        if sampler is not None and hasattr(sampler, "start_step"):
            sampler.start_step = self.start_iter * self._trainer.passes
        elif self.start_iter:
            logger.warning(
                "The train loader's batch_sampler has no 'start_step' (see build_train_loader): "
                "the resumed training sees other images than an uninterrupted one would."
            )

    def state_dict(self) -> dict[str, Any]:
        state = TrainerBase.state_dict(self)
        state["optimizer"] = self._trainer.optimizer.state_dict()
        state["grad_scaler"] = self._trainer.grad_scaler.state_dict()
        state["metrics"] = storage_state(self.storage)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        TrainerBase.load_state_dict(self, state_dict)
        check_optimizer(self._trainer.optimizer, state_dict["optimizer"])
        self._trainer.optimizer.load_state_dict(state_dict["optimizer"])
        self._trainer.grad_scaler.load_state_dict(state_dict["grad_scaler"])
        self._restored_metrics = state_dict["metrics"]


def _with(node: DictConfig, key: str, value: Any) -> DictConfig:
    """A copy of a config node with one more or another value."""
    node = copy.deepcopy(node)
    OmegaConf.update(node, key, value, merge=False, force_add=True)
    return node
