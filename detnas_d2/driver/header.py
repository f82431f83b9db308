"""The ledger's header of a search."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from omegaconf import DictConfig

from ..engine.fingerprint import config_hash, file_hash
from ..search import make_header
from ..space import SearchSpace


def search_header(cfg: DictConfig, space: SearchSpace) -> dict[str, Any]:
    """All that the candidates and their fitness depend on."""
    config = config_hash(cfg, ("model", "dataloader", "search"))
    header = make_header(space, config, file_hash(cfg.train.init_checkpoint), cfg.search.seed)
    # convolutions round otherwise with another number of threads, ties are ordered otherwise by
    # another Detectron2
    return {
        **header,
        "device": cfg.train.device,
        "threads": torch.get_num_threads(),
        "torch": version("torch"),
        "detectron2": version("detectron2"),
    }
