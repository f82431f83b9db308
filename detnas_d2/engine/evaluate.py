"""Evaluation of a trained network: the last step, and ``train_net.py --eval-only``."""

from __future__ import annotations

import os
from typing import Any

from detectron2.evaluation.testing import flatten_results_dict
from detectron2.utils import comm
from omegaconf import DictConfig

from ..errors import ConfigError
from ..files import write_json
from ..modeling import find_supernet
from .checkpoint import DetNASCheckpointer
from .checkpoint_file import of_supernet
from .trainer import LazyTrainer

EVALUATION_FILE = "evaluation.json"


def evaluate_checkpoint(cfg: DictConfig) -> dict[str, Any]:
    """Evaluate ``train.init_checkpoint`` and write the metrics to ``evaluation.json``.

    The file in ``train.output_dir`` is one JSON object: the metrics by flattened name, such as
    ``bbox/AP``; one that is not finite is null.

    Returns:
        the metrics by task, empty on all processes but the first.

    Raises:
        ConfigError: without a checkpoint, or for a supernet.
        CheckpointError: for a checkpoint that is missing, damaged or of another network.
    """
    if not cfg.train.init_checkpoint:
        raise ConfigError("train.init_checkpoint is empty; give the checkpoint to evaluate.")
    model = LazyTrainer.build_model(cfg)
    if find_supernet(model) is not None:
        raise ConfigError(of_supernet("The model"))
    DetNASCheckpointer(model).load_whole(cfg.train.init_checkpoint)
    results = LazyTrainer.test(cfg, model)
    if comm.is_main_process():
        flat = {k: float(v) for k, v in flatten_results_dict(results).items()}
        finite = {k: v if abs(v) < float("inf") else None for k, v in flat.items()}
        write_json(os.path.join(cfg.train.output_dir, EVALUATION_FILE), finite, indent=1)
    return results
