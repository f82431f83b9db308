"""Training: configs, trainer, hooks and checkpoints."""

from .checkpoint import CheckpointError, DetNASCheckpointer
from .config import ConfigError, load_config
from .evaluate import evaluate_checkpoint
from .hooks import PathResampling, StepSeeding
from .setup import setup
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
    "evaluate_checkpoint",
    "load_config",
    "setup",
]
