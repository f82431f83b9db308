"""Training: configs, trainer, hooks and checkpoints."""

from ..errors import ConfigError
from .checkpoint import DetNASCheckpointer
from .checkpoint_file import CheckpointError, starting_weights
from .config import backbone_key, backbone_node, load_config, plain_path
from .evaluate import evaluate_checkpoint
from .hooks import PathResampling, StepSeeding
from .setup import setup
from .supernet_trainer import SupernetTrainer, build_trainer
from .trainer import LazyTrainer

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DetNASCheckpointer",
    "LazyTrainer",
    "PathResampling",
    "StepSeeding",
    "SupernetTrainer",
    "backbone_key",
    "backbone_node",
    "build_trainer",
    "evaluate_checkpoint",
    "load_config",
    "plain_path",
    "setup",
    "starting_weights",
]
