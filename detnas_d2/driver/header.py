"""The ledger's header of a search."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from detectron2.utils.file_io import PathManager
from omegaconf import DictConfig

from ..engine import CheckpointError
from ..engine.fingerprint import config_hash, file_hash
from ..engine.machines import gpu_name
from ..engine.preflight import dataset_names
from ..search import SearchAlgorithm, make_header
from ..space import SearchSpace
from .data_hash import dataset_hash
from .threads import fitness_threads, is_cuda

# convolutions round otherwise in another torch, boxes are chosen otherwise by another torchvision,
# ties are ordered otherwise by another Detectron2 or hotcoco, images resized otherwise by another
# Pillow
PACKAGES = (
    *("torch", "torchvision", "detectron2", "hotcoco", "pillow"),
    *("numpy", "scipy", "fvcore"),  # draws, limits, batch-norm statistics
)
CONFIG_KEYS = ("model", "dataloader", "search")
"""Of a config, what counts in `config_hash`."""

_LOADERS = ("calibration", "test", "evaluator")


def search_header(
    cfg: DictConfig, space: SearchSpace, algorithm: SearchAlgorithm
) -> dict[str, Any]:
    """All that the candidates and their fitness depend on.

    Raises:
        CheckpointError, DataError: a checkpoint or a data set's file that can't be read.
        ConfigError: a GPU that PyTorch can't use.
    """
    config = config_hash(cfg, CONFIG_KEYS)
    header = make_header(space, config, _checkpoint_hash(cfg), cfg.search.seed)
    table = cfg.search.get("latency_table")
    names = [name for key in _LOADERS for name in dataset_names(cfg.dataloader[key])]
    return {
        **header,
        "datasets": {name: dataset_hash(name) for name in dict.fromkeys(names)},
        "device": cfg.train.device,
        "processor": _processor(cfg),
        "threads": fitness_threads(cfg),  # convolutions round otherwise with another number
        **{package: version(package) for package in PACKAGES},
        **({} if table is None else {"latency_table": file_hash(table)}),
        **algorithm.depends_on,
    }


def _processor(cfg: DictConfig) -> str | None:
    """What convolutions' rounding depends on: the GPU's name, or which of a CPU's instructions
    PyTorch uses (``AVX512``). None for a cluster, whose machines may be other ones than this."""
    if cfg.search.get("address") is not None:
        return None
    if is_cuda(cfg):
        device = cfg.train.device
        return gpu_name(device) if cfg.search.workers else torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability()


def _checkpoint_hash(cfg: DictConfig) -> str:
    path = cfg.train.init_checkpoint
    try:
        return file_hash(PathManager.get_local_path(path))
    except OSError as error:
        raise CheckpointError(f"train.init_checkpoint: can't read {path!r}: {error}") from error
