"""What the worker processes of a search are given, and how they make the fitness function of it."""

from __future__ import annotations

import copy
import itertools
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.config import instantiate
from detectron2.data import DatasetCatalog, MetadataCatalog
from omegaconf import DictConfig
from torch import nn

from ..data import DataError
from ..data.catalog import ROOT_VARIABLE, datasets_root, unregister_dataset
from ..engine import CheckpointError, ConfigError, LazyTrainer
from ..engine.fingerprint import dataset_hash
from ..engine.machines import is_cuda
from ..engine.preflight import dataset_names
from ..engine.setup import set_up_torch
from ..evaluation import CandidateFitness
from ..evaluation.cpu import keep_freed_memory
from ..search import Fitness
from .resuming import PACKAGES, checkpoint_hash

_READ_BY_DRIVER = ("calibration", "test")  # `CandidateFitness.load` has their images


@dataclass(frozen=True)
class _Dataset:
    load: Callable[[], Any]
    metadata: Mapping[str, Any]
    hash: str | None  # where there are annotation files


@dataclass(frozen=True)
class WorkerSetUp:
    """What a worker has to have as the driver has it.

    cfg: the config, with the device as the worker names it.
    folder: the working directory, where it exists.
    threads: of PyTorch; None leaves them alone.
    versions: of the packages that the fitness depends on.
    datasets: those that the evaluator and trainings read, by name.
    checkpoint: hash of what trainings begin with; None where there are none: a supernet's weights
        travel.
    """

    cfg: DictConfig
    folder: str
    threads: int | None
    versions: Mapping[str, str]
    datasets: Mapping[str, _Dataset]
    checkpoint: str | None


def worker_parts(
    cfg: DictConfig, fitness: CandidateFitness, threads: int | None, model: nn.Module, data: Any
) -> Iterator[Any]:
    """The arguments of make_fitness, made one by one."""
    loaders = [key for key in fitness.loaders if key not in _READ_BY_DRIVER]
    cfg = copy.deepcopy(cfg)
    if is_cuda(cfg):
        cfg.train.device = "cuda"  # the one that is set aside for the worker
    names = (name for key in loaders for name in dataset_names(cfg.dataloader[key]))
    datasets = {name: _dataset(name) for name in names}
    versions = {package: version(package) for package in PACKAGES}
    checkpoint = checkpoint_hash(cfg) if fitness.weights == "training" else None
    yield WorkerSetUp(cfg, os.getcwd(), threads, versions, datasets, checkpoint)
    yield {name: tensor.numpy(force=True) for name, tensor in model.state_dict().items()}
    yield data


def make_fitness(setup: WorkerSetUp, state: Mapping[str, np.ndarray], data: Any) -> Fitness:
    """The fitness function in a worker.

    Raises:
        ConfigError: a package of another version, or no GPU.
        DataError, CheckpointError: a data set, or what trainings begin with, that this machine
            lacks or has otherwise.
    """
    if os.path.isdir(setup.folder):
        os.chdir(setup.folder)
    _check_machine(setup)
    if setup.threads is not None:
        torch.set_num_threads(setup.threads)
    if not is_cuda(setup.cfg):
        keep_freed_memory()
    set_up_torch(setup.cfg)
    for name, dataset in setup.datasets.items():
        _register(name, dataset)
    if setup.checkpoint is not None and checkpoint_hash(setup.cfg) != setup.checkpoint:
        raise CheckpointError(
            f"train.init_checkpoint: {setup.cfg.train.init_checkpoint!r} is another file on "
            f"{socket.gethostname()!r} than where the search was started; copy that one to "
            "the same place on all machines."
        )
    model = LazyTrainer.build_model(setup.cfg)
    # copied, for the arrays are read-only
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.items()})
    score: Fitness = instantiate(setup.cfg.search.fitness).build(setup.cfg, model, data)
    return score


def worker_environment(threads: int | None) -> dict[str, str]:
    """Variables of a worker: modules and data sets are found where the driver finds them."""
    # what comes from the first of Python's own folders on is installed: workers have it too, and
    # the order between its parts must stay
    prefixes = (Path(sys.prefix), Path(sys.base_prefix))
    before = itertools.takewhile(
        lambda p: not any(Path(p).is_relative_to(prefix) for prefix in prefixes), sys.path
    )
    own = dict.fromkeys(os.path.abspath(p) for p in ("", *before) if os.path.isdir(p or "."))
    variables = {
        "PYTHONPATH": os.pathsep.join([*own, "${PYTHONPATH}"]),
        ROOT_VARIABLE: os.path.abspath(datasets_root()),
    }
    return variables if threads is None else {**variables, "OMP_NUM_THREADS": str(threads)}


def _check_machine(setup: WorkerSetUp) -> None:
    here = socket.gethostname()
    differing = [
        f"{package} {version(package)} instead of {wanted}"
        for package, wanted in setup.versions.items()
        if version(package) != wanted
    ]
    if differing:
        raise ConfigError(
            f"The machine {here!r} has {', '.join(differing)}. Fitness depends on it: install the "
            "same versions on all machines of the cluster."
        )
    if is_cuda(setup.cfg) and not torch.cuda.is_available():
        raise ConfigError(
            f"train.device is 'cuda', but PyTorch sees no GPU in a worker on {here!r}: mend its "
            "driver, or start Ray there with --num-gpus=0."
        )


def _dataset(name: str) -> _Dataset:
    metadata = MetadataCatalog.get(name).as_dict()
    has_files = metadata.get("json_file") or metadata.get("dirname")
    return _Dataset(DatasetCatalog[name], metadata, dataset_hash(name) if has_files else None)


def _register(name: str, dataset: _Dataset) -> None:
    if name in DatasetCatalog:  # perhaps from elsewhere
        unregister_dataset(name)
    DatasetCatalog.register(name, dataset.load)
    MetadataCatalog.get(name).set(**{k: v for k, v in dataset.metadata.items() if k != "name"})
    if dataset.hash is not None and dataset_hash(name) != dataset.hash:
        raise DataError(
            f"Data set {name!r} has other annotations on {socket.gethostname()!r} than where the "
            "search was started; copy its annotation files to the same place on all machines."
        )
