"""The set-up that both scripts share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detectron2.config import LazyConfig
from detectron2.engine import default_setup
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger
from omegaconf import DictConfig

from ..files import write_atomically
from .logs import hide_tracebacks, let_logs_end

CONFIG_FILE = "config.yaml"
_LOGGERS = ("detnas_d2", "detectron2", "fvcore")


def setup(cfg: DictConfig, args: argparse.Namespace, *, workers: int = 0) -> None:
    """Our logger, and Detectron2's ``default_setup``: loggers, environment, ``config.yaml``.

    ``default_setup`` asks each GPU for its name, which takes memory of it, so a search whose
    workers have the GPUs does without it. It seeds the generators too, which such a search needs
    not: its own process draws from generators that have seeds of their own.

    Args:
        cfg: the config.
        args: of Detectron2's parser; with `debug` false, tracebacks go to the log files alone.
        workers: processes of a search that have the GPUs.
    """
    folder = cfg.train.output_dir
    setup_logger(folder, distributed_rank=comm.get_rank(), name="detnas_d2")
    if workers:
        setup_logger(folder, name="fvcore")
        setup_logger(folder).info(f"Command line arguments: {args}")
        LazyConfig.save(cfg, os.path.join(folder, CONFIG_FILE))
    else:
        default_setup(cfg, args)
    let_logs_end(*_LOGGERS)
    if not getattr(args, "debug", True):
        hide_tracebacks(*_LOGGERS)


@contextmanager
def former_config(folder: str, *, keep: bool = False) -> Iterator[None]:
    """A run that fails to begin leaves the folder the ``config.yaml`` that it had.

    Args:
        folder: the output folder; ``setup`` is called in the context.
        keep: leave it the training's ``config.yaml`` whatever happens, as a test does.
    """
    path = Path(folder, CONFIG_FILE)
    before = path.read_bytes() if path.is_file() and comm.is_main_process() else None
    failed = True
    try:
        yield
        failed = False
    finally:
        if before is not None and (failed or keep):
            write_atomically(path, lambda file: file.write(before))
