"""CPU threads of a candidate's evaluation."""

from __future__ import annotations

import torch
from omegaconf import DictConfig


def fitness_threads(cfg: DictConfig) -> int | None:
    """How many PyTorch uses: ``search.threads``, or else 1 in a worker and its own number in this
    process. None on a GPU, where it changes no result."""
    if is_cuda(cfg):
        return None
    if cfg.search.threads is not None:
        return cfg.search.threads
    return 1 if cfg.search.workers else torch.get_num_threads()


def is_cuda(cfg: DictConfig) -> bool:
    return torch.device(cfg.train.device).type == "cuda"
