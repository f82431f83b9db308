"""The set-up that both scripts share."""

from __future__ import annotations

import argparse

from detectron2.engine import default_setup
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger
from omegaconf import DictConfig

from .logs import let_logs_end


def setup(cfg: DictConfig, args: argparse.Namespace) -> None:
    """Our logger, and Detectron2's ``default_setup``: loggers, environment, ``config.yaml``."""
    setup_logger(cfg.train.output_dir, distributed_rank=comm.get_rank(), name="detnas_d2")
    default_setup(cfg, args)
    let_logs_end("detnas_d2", "detectron2", "fvcore")
