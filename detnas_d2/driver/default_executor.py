"""Where candidates are evaluated: in this process, or in worker processes."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from ..engine import ConfigError
from ..engine.machines import gpu_name, is_cuda, wrong_device
from ..evaluation import CandidateFitness
from ..evaluation.cpu import keep_freed_memory, with_threads
from ..rules import number, require, whole
from ..search import Executor, InProcessExecutor, RayExecutor
from ..settings import OF_DETECTRON2
from .workers import make_fitness, worker_environment, worker_parts


class CandidateExecutor:
    """What ``search.executor`` makes: says where candidates are evaluated. The base of one's own.

    It is made of its settings alone, and its constructor refuses those that can't work.

    Attributes:
        workers: processes that evaluate; 0 for this one.
    """

    workers = 0

    def check(self, cfg: DictConfig) -> None:
        """Refuse, before anything is built, what this machine does not have.

        Raises:
            ConfigError: with what to do.
        """
        problems = list(wrong_device(cfg, 1, self.workers))
        if problems:
            raise ConfigError("\n".join(problems))

    def depends_on(self, cfg: DictConfig) -> dict[str, Any]:
        """What else the candidates' fitness depends on; it stands in the ledger's header.

        That is what convolutions' rounding depends on: threads, the processor, and the switches of
        ``train`` that are set.

        Raises:
            ConfigError: a GPU that PyTorch can't use.
        """
        found = {key: OmegaConf.select(cfg, key) for key in OF_DETECTRON2}
        switches = {key: value for key, value in found.items() if value}
        return {"processor": self.processor(cfg), "threads": self.threads(cfg), **switches}

    def processor(self, cfg: DictConfig) -> str | None:
        """The GPU's name, or which of a CPU's instructions PyTorch uses (``AVX512``)."""
        if not is_cuda(cfg):
            return torch.backends.cpu.get_cpu_capability()
        device = cfg.train.device
        return gpu_name(device) if self.workers else torch.cuda.get_device_name(device)

    def for_driver(self, cfg: DictConfig) -> DictConfig:
        """The config by which this process builds its own model."""
        return cfg

    def threads(self, cfg: DictConfig) -> int | None:
        """PyTorch's CPU threads for a candidate; None on a GPU, where they change no result."""
        return None if is_cuda(cfg) else torch.get_num_threads()

    def open(
        self, cfg: DictConfig, fitness: CandidateFitness, model: nn.Module
    ) -> AbstractContextManager[Executor]:
        """An executor; its processes end with the context.

        Args:
            model: with the supernet's weights, on the device of `for_driver`.
        """
        raise NotImplementedError


class DefaultExecutor(CandidateExecutor):
    """This process, or so many worker processes (Ray's), here or on a cluster.

    Args:
        workers: processes; 0 for this one. On a GPU each has one of its own.
        address: of a cluster, "auto" for the one that this machine belongs to. None: this machine.
        threads: of each process on a CPU. None: 1 in a worker, PyTorch's own number in this one.
            Changes rounding only.
        retries: how often a candidate that fails is tried again; of one that workers share, a part.
        time_limit: seconds for a candidate, or for each part of one; needs workers.

    Raises:
        ConfigError: for a setting that can't work, and for workers without Ray.
    """

    def __init__(
        self,
        workers: int = 0,
        address: str | None = None,
        threads: int | None = None,
        retries: int = 1,
        time_limit: float | None = None,
    ) -> None:
        require(
            "search.executor",
            workers=(workers, whole(0)),
            retries=(retries, whole(0)),
            threads=(threads, whole(1).or_null()),
            time_limit=(time_limit, number("seconds").or_null()),
        )
        for name, value in (("address", address), ("time_limit", time_limit)):
            if value is not None and not workers:
                raise ConfigError(
                    f"search.executor.{name} needs workers, for only they can run elsewhere and be "
                    "stopped; set search.executor.workers to 1 or more, or "
                    f"search.executor.{name} to null."
                )
        if workers and importlib.util.find_spec("ray") is None:
            raise ConfigError(
                f"search.executor.workers is {workers}, which needs Ray: pip install "
                "'detnas-d2[ray]'; or search.executor.workers=0."
            )
        self.workers = workers
        self._address = address
        self._threads = threads
        self._retries = retries
        self._time_limit = time_limit

    def check(self, cfg: DictConfig) -> None:
        if self._address is None:  # else the GPUs are those of other machines
            super().check(cfg)

    def processor(self, cfg: DictConfig) -> str | None:
        """None for a cluster, whose machines may differ."""
        return super().processor(cfg) if self._address is None else None

    def for_driver(self, cfg: DictConfig) -> DictConfig:
        """With workers, the driver evaluates nothing and needs no GPU."""
        if self.workers:
            cfg = copy.deepcopy(cfg)
            cfg.train.device = "cpu"
        return cfg

    def threads(self, cfg: DictConfig) -> int | None:
        own = self._threads or (1 if self.workers else None)
        return super().threads(cfg) if own is None or is_cuda(cfg) else own

    @contextmanager
    def open(
        self, cfg: DictConfig, fitness: CandidateFitness, model: nn.Module
    ) -> Iterator[Executor]:
        """
        Raises:
            DataError: images that can't be read or kept.
            SearchError: Ray can't be started or reached.
        """
        # data first: their processes fork, which one with a connection to Ray should not
        data = fitness.load(self.for_driver(cfg))
        if not self.workers:
            if not is_cuda(cfg):
                keep_freed_memory()
            with with_threads(self._threads):
                yield InProcessExecutor(fitness.build(cfg, model, data), self._retries)
            return
        threads = self.threads(cfg)
        with RayExecutor(
            make_fitness,
            worker_parts(cfg, fitness, threads, model, data),
            workers=self.workers,
            retries=self._retries,
            time_limit=self._time_limit,
            address=self._address,
            cpus_per_worker=threads or 1,
            gpus_per_worker=1 if is_cuda(cfg) else 0,
            environment=worker_environment(threads),
        ) as executor:
            del data  # it is with Ray now
            yield executor
