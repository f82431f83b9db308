"""Where candidates are evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig
from torch import nn

from ..engine import DetNASCheckpointer
from ..evaluation import build_fitness
from ..search import Executor, InProcessExecutor


@contextmanager
def build_executor(cfg: DictConfig, model: nn.Module) -> Iterator[Executor]:
    """An executor over ``train.init_checkpoint``, whose workers end with the context.

    Raises:
        CheckpointError: for a checkpoint that is missing, damaged or of another network.
    """
    DetNASCheckpointer(model).load(cfg.train.init_checkpoint, checkpointables=[])
    yield InProcessExecutor(build_fitness(cfg, model))
