"""Training: configs, trainer, hooks and checkpoints."""

from .checkpoint import CheckpointError, DetNASCheckpointer
from .config import ConfigError, load_config
from .hooks import PathResampling, StepSeeding
from .trainer import LazyTrainer, SupernetTrainer, build_trainer

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DetNASCheckpointer",
    "LazyTrainer",
    "PathResampling",
    "StepSeeding",
    "SupernetTrainer",
    "build_trainer",
    "load_config",
]
