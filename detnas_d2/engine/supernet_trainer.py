"""Path-wise training of a supernet, and which trainer fits a config."""

from __future__ import annotations

from detectron2.config import instantiate
from detectron2.data import MetadataCatalog
from detectron2.engine import HookBase
from omegaconf import DictConfig, OmegaConf

from ..errors import ConfigError
from ..modeling import find_supernet
from ..space import PathSampler
from .hooks import PathResampling
from .preflight import dataset_names
from .trainer import LazyTrainer


class SupernetTrainer(LazyTrainer):
    """Path-wise training of a supernet (Algorithm 1: lines 3 to 7 or 8 to 12).

    Each iteration ``cfg.path_sampler`` gives the path; only that path runs forward and backward,
    and no other weight of the supernet gets a gradient or an update.

    A supernet has no metric of its own: paths are scored by the search, after batch-norm
    statistics were collected for each. So there is no evaluation during its training.
    """

    _evaluates = False

    @classmethod
    def build_path_sampler(cls, cfg: DictConfig) -> PathSampler:
        """Instantiate ``cfg.path_sampler``."""
        return instantiate(cfg.path_sampler)

    def build_hooks(self) -> list[HookBase | None]:
        return [PathResampling(self.build_path_sampler(self.cfg)), *super().build_hooks()]


def build_trainer(cfg: DictConfig) -> LazyTrainer:
    """The trainer that fits ``cfg``: path-wise where it has a ``path_sampler``.

    Raises:
        ConfigError: for a supernet without a path sampler.
    """
    trainer_class = SupernetTrainer if cfg.get("path_sampler") is not None else LazyTrainer
    trainer = trainer_class(cfg)
    if trainer_class is LazyTrainer and find_supernet(trainer.model) is not None:
        raise ConfigError(
            "The model is a supernet, but the config has no 'path_sampler' "
            "(see configs/common/paths.py)."
        )
    _check_classes(cfg)
    return trainer


def _check_classes(cfg: DictConfig) -> None:
    """Once a data set is loaded its classes are known: too few in the model train in silence."""
    for key in ("model.roi_heads.num_classes", "model.num_classes"):
        number = OmegaConf.select(cfg, key)
        for name in dataset_names(cfg.dataloader.train):
            classes = MetadataCatalog.get(name).get("thing_classes") or ()
            if number is not None and number < len(classes):
                raise ConfigError(
                    f"{key} is {number}, but data set {name!r} has {len(classes)} classes "
                    f"({', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''}); set {key}="
                    f"{len(classes)}."
                )
