"""Where candidates are evaluated."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig
from torch import nn

from ..engine import DetNASCheckpointer, LazyTrainer
from ..evaluation import build_fitness, load_images
from ..evaluation.memory import keep_freed_memory
from ..evaluation.threads import with_threads
from ..search import Executor, InProcessExecutor, RayExecutor
from .threads import fitness_threads, is_cuda
from .workers import make_fitness, worker_environment, worker_parts


def build_supernet(cfg: DictConfig) -> nn.Module:
    """The model of a search; on the CPU where workers evaluate."""
    return LazyTrainer.build_model(_for_driver(cfg))


@contextmanager
def build_executor(cfg: DictConfig, model: nn.Module) -> Iterator[Executor]:
    """An executor over ``train.init_checkpoint``: ``search.workers`` processes, or this one.

    Its workers end with the context.

    Raises:
        CheckpointError: for a checkpoint that is missing, damaged or of another network.
        DataError: images that can't be read or kept.
        SearchError: Ray can't be started or reached.
    """
    DetNASCheckpointer(model).load_whole(cfg.train.init_checkpoint)
    search = cfg.search
    if not search.workers:
        if not is_cuda(cfg):
            keep_freed_memory()
        with with_threads(search.threads):
            yield InProcessExecutor(build_fitness(cfg, model), search.retries)
        return
    threads = fitness_threads(cfg)
    # images first: their data workers fork, which a process with a connection to Ray should not
    images = worker_parts(cfg, model, load_images(_for_driver(cfg)))
    with RayExecutor(
        make_fitness,
        images,
        workers=search.workers,
        retries=search.retries,
        time_limit=search.time_limit,
        address=search.address,
        cpus_per_worker=threads or 1,
        gpus_per_worker=1 if is_cuda(cfg) else 0,
        environment=worker_environment(threads),
    ) as executor:
        yield executor


def _for_driver(cfg: DictConfig) -> DictConfig:
    """With workers, the driver evaluates nothing and needs no GPU."""
    if not cfg.search.workers:
        return cfg
    cfg = copy.deepcopy(cfg)
    cfg.train.device = "cpu"
    return cfg
