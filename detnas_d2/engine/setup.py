"""The set-up that both scripts share."""

from __future__ import annotations

import argparse
import copy
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detectron2.config import LazyConfig
from detectron2.engine import default_setup
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger
from omegaconf import DictConfig, OmegaConf

from ..files import write_atomically

CONFIG_FILE = "config.yaml"
_LOGGERS = ("detnas_d2", "detectron2", "fvcore")


def setup(cfg: DictConfig, args: argparse.Namespace) -> None:
    """Our logger, and Detectron2's ``default_setup``: loggers, environment, ``config.yaml``.

    That asks each GPU for its name, which takes memory of it. So a search whose workers have the
    GPUs does without the list of the environment, and draws nothing either that needs a seed.

    Args:
        cfg: the config.
        args: of Detectron2's parser; with `debug` false, tracebacks go to the log files alone.
    """
    folder = cfg.train.output_dir
    setup_logger(folder, distributed_rank=comm.get_rank(), name="detnas_d2")
    if OmegaConf.select(cfg, "search.executor.workers"):
        setup_logger(folder, name="fvcore")
        setup_logger(folder).info(f"Command line arguments: {args}")
        LazyConfig.save(cfg, os.path.join(folder, CONFIG_FILE))
    else:
        default_setup(cfg, args)
    logging.raiseExceptions = False  # on a full disk: else a traceback for every line
    if not getattr(args, "debug", True):
        for handler in (h for name in _LOGGERS for h in logging.getLogger(name).handlers):
            name = getattr(getattr(handler, "stream", None), "name", "")
            if str(name).startswith("<"):  # <stdout>, no file
                handler.setFormatter(_WithoutTraceback(handler.formatter or logging.Formatter()))


@contextmanager
def former_config(folder: str) -> Iterator[None]:
    """A run that fails to begin leaves the folder the ``config.yaml`` that it had.

    Args:
        folder: the output folder; ``setup`` is called in the context.
    """
    path = Path(folder, CONFIG_FILE)
    before = path.read_bytes() if path.is_file() and comm.is_main_process() else None
    try:
        yield
    except BaseException:
        if before is not None:
            write_atomically(path, lambda file: file.write(before))
        raise


class _WithoutTraceback(logging.Formatter):
    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)  # other handlers see the same one
        error = record.exc_info[1] if record.exc_info else None
        record.exc_info = record.exc_text = None
        return self._formatter.format(record) + (f" {type(error).__name__}" if error else "")
