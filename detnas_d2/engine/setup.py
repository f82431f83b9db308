"""The set-up that both scripts share."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import torch
from detectron2.config import LazyConfig
from detectron2.utils import comm
from detectron2.utils.collect_env import collect_env_info
from detectron2.utils.env import seed_all_rng
from detectron2.utils.logger import setup_logger
from omegaconf import DictConfig

from .logs import hide_tracebacks, let_logs_end
from .machines import is_cuda

CONFIG_FILE = "config.yaml"
_LOGGERS = ("detnas_d2", "detectron2", "fvcore")


def setup(cfg: DictConfig, args: argparse.Namespace, *, workers: int = 0) -> None:
    """Loggers, what the log begins with, PyTorch's switches and the generators' first seed.

    Detectron2's ``default_setup`` does as much, but it writes ``config.yaml`` (`save_config`) in
    tests too, and before anything has begun.

    Args:
        cfg: the config.
        args: of Detectron2's parser; with `debug` false, tracebacks go to the log files alone.
        workers: processes of a search that have the GPUs.
    """
    rank = comm.get_rank()
    for name in _LOGGERS:
        setup_logger(cfg.train.output_dir, distributed_rank=rank, name=name)
    let_logs_end(*_LOGGERS)
    if not getattr(args, "debug", True):
        hide_tracebacks(*_LOGGERS)
    logger = logging.getLogger("detectron2")
    # it asks each GPU for its name, which takes memory of those that a search's workers have
    if not workers:
        logger.info(f"Environment info:\n{collect_env_info()}")
    logger.info(f"Command line arguments: {args}")
    logger.info(f"{args.config_file}:\n{Path(args.config_file).read_text()}")
    set_up_torch(cfg)
    if getattr(args, "eval_only", False):  # it costs more than a test gains
        torch.backends.cudnn.benchmark = False
    seed_all_rng(cfg.train.seed + rank)


def set_up_torch(cfg: DictConfig) -> None:
    """``train.cudnn_benchmark`` and ``train.float32_precision``, as Detectron2's head has them."""
    torch.backends.cudnn.benchmark = cfg.train.get("cudnn_benchmark", False)
    precision = cfg.train.get("float32_precision")
    if precision and is_cuda(cfg):
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = precision != "highest"


def save_config(cfg: DictConfig) -> None:
    """Write ``config.yaml``, once it is sure that the folder is this run's."""
    if comm.is_main_process():
        LazyConfig.save(cfg, os.path.join(cfg.train.output_dir, CONFIG_FILE))
