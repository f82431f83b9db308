"""Fitness of an architecture by a short training of its network; no supernet is needed."""

from __future__ import annotations

import copy
import gc
import logging

from detectron2.engine import HookBase, hooks
from omegaconf import DictConfig, OmegaConf
from torch import nn

from ..data.seeding import seeded
from ..engine import ConfigError, LazyTrainer, StepSeeding, backbone_node
from ..engine.trainer import DivergedError
from ..rules import Rule, number, require, whole
from ..space import Architecture
from .fitness import CandidateFitness, Score
from .images import SearchImages, load_images
from .inference import evaluate_images, quiet
from .metric import METRIC, as_score, check_metric

logger = logging.getLogger(__name__)

_SHARE = Rule(
    "a share of the training, above 0 and at most 1",
    lambda v: type(v) in (int, float) and 0 < v <= 1,
)
_TRAINED_BY = ("optimizer", "lr_multiplier", "train.max_iter")
_SETTINGS = ("max_iter", "seed", "amp", "init_backbone_only")


class ShortTraining(CandidateFitness):
    """A metric of the network itself, after a share of its training.

    A candidate is trained as ``train_net.py`` trains a network in step 4, by the search's own
    config: its ``model``, with the network in the supernet's place, ``optimizer``,
    ``lr_multiplier``, ``dataloader.train`` and ``train``. From ``train.init_checkpoint`` it takes
    what step 4 would: nothing where that is empty, its path of a supernet. Then it is evaluated on
    the images of ``dataloader.test``.

    The schedule stretches over the share, so that a short training ends as a whole one does, with a
    small learning rate; it is not the beginning of the whole one.

    The result is a pure function of config, weights and architecture, with ``train.seed`` for all
    of them: on a CPU bit for bit, on a GPU as far as its kernels are.

    A training writes no file, and one that was stopped begins anew: the ledger stays all that there
    is of a search, nothing has to be removed after it, and what is lost is short.

    Args:
        metric: of ``dataloader.evaluator``, by its flattened name, e.g. ``bbox/AP``.
        share: of ``train.max_iter``, rounded, at least one iteration.
        batch_size: validation images a forward, all of one size: changes rounding only.
        cache_memory: GiB for decoded validation images; more of them go to a file in
            ``train.output_dir``.

    Raises:
        ConfigError: for a setting that can't work.
    """

    weights = "training"
    loaders = ("train", "test", "evaluator")
    config_keys = (
        *("model", "search", "optimizer", "lr_multiplier"),
        *("dataloader.train", "dataloader.test", "dataloader.evaluator"),
        *(f"train.{key}" for key in _SETTINGS),
    )

    def __init__(
        self, metric: str, share: float = 0.25, batch_size: int = 4, cache_memory: float = 8
    ) -> None:
        require(
            "search.fitness",
            metric=(metric, METRIC),
            share=(share, _SHARE),
            batch_size=(batch_size, whole(1)),
            cache_memory=(cache_memory, number("GiB", zero=True)),
        )
        self.metric = metric
        self.share = share
        self.batch_size = batch_size
        self.cache_memory = cache_memory

    def check(self, cfg: DictConfig) -> None:
        """As `check_metric`, and for a config that can't train."""
        missing = [key for key in _TRAINED_BY if OmegaConf.select(cfg, key) is None]
        if missing:
            raise ConfigError(
                f"search.fitness trains candidates, and the config lacks {', '.join(missing)}: "
                "import what step 4 trains by, as configs/custom/step3_search_short.py does."
            )
        check_metric(cfg, self.metric)

    def load(self, cfg: DictConfig) -> SearchImages:
        """Raises DataError: the disk is full, or an image can't be read."""
        logger.info(
            "Each candidate is trained for %d of %d iterations",
            *(self._iterations(cfg), cfg.train.max_iter),
        )
        loader = LazyTrainer.build_test_loader(cfg, cfg.dataloader.test.dataset.names)
        return load_images(cfg, loader, 0, self.batch_size, self.cache_memory)

    def build(self, cfg: DictConfig, model: nn.Module, data: SearchImages) -> Score:
        """
        Args:
            model: plays no part, for each candidate is a network of its own.

        Returns:
            the function. Its fitness is unrounded, as the evaluator gives it. It raises
            FloatingPointError where the training diverges, DataError and CheckpointError for
            images and weights that can't be read, and as that of `SupernetFitness`.
        """
        evaluator = LazyTrainer.build_evaluator(cfg, cfg.dataloader.test.dataset.names)

        def score(architecture: Architecture) -> tuple[float, dict[str, float]]:
            gc.collect()  # what was trained before: its optimizer's config holds it in a circle
            with quiet(), seeded(cfg.train.seed):
                network = _train(self.training(cfg, architecture)).eval()
                results = evaluate_images(network, data, evaluator, self.metric)
            return as_score(results, self.metric)

        return score

    def training(self, cfg: DictConfig, architecture: Architecture) -> DictConfig:
        """The config by which a candidate is trained alone.

        Args:
            cfg: of the search.
        """
        cfg = copy.deepcopy(cfg)
        cfg.train.max_iter = self._iterations(cfg)
        node = backbone_node(cfg)
        node._target_ = "detnas_d2.modeling.StandAloneNetwork"
        node.architecture = list(architecture)
        return cfg

    def _iterations(self, cfg: DictConfig) -> int:
        return max(1, round(self.share * cfg.train.max_iter))


class TrainerWithoutFiles(LazyTrainer):
    """It neither logs nor saves, and leaves signals to who trains many networks by it."""

    def build_hooks(self) -> list[HookBase | None]:
        return [StepSeeding(self.cfg.train.seed), hooks.LRScheduler()]


def _train(cfg: DictConfig) -> nn.Module:
    """
    Raises:
        FloatingPointError: it diverged, which is this candidate's fault alone.
    """
    trainer = TrainerWithoutFiles(cfg)
    trainer.resume_or_load(resume=False)
    try:
        trainer.train()
    except DivergedError as e:
        reason = str(e.__cause__).splitlines()[0]
        raise FloatingPointError(f"The training diverged: {reason}") from e
    return trainer.model
