"""What can't work is refused before work starts."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import torch
from detectron2.config import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from ..data import DataError, describe_missing, missing_datasets
from ..space import Architecture, ArchitectureError, SpaceError, resolve_space
from .config import ConfigError

_ALWAYS = ("model", "train.seed", "train.device", "train.output_dir")
_TRAINING = ("max_iter", "amp", "checkpointer", "eval_period", "log_period")
REQUIRED = {
    "train": (
        *_ALWAYS,
        *(f"train.{key}" for key in _TRAINING),
        *("optimizer", "lr_multiplier", "dataloader.train"),
    ),
    "test": (*_ALWAYS, "train.init_checkpoint", "dataloader.test", "dataloader.evaluator"),
    "search": (
        *_ALWAYS,
        *("train.init_checkpoint", "search", "dataloader.test", "dataloader.evaluator"),
        "dataloader.calibration",
    ),
}
"""Keys that must be there and not null, by kind of run."""
PURPOSE = {
    "train": "a training (train_net.py; steps 1, 2 and 4)",
    "test": "a test (train_net.py --eval-only; step 5)",
    "search": "a search (search_net.py; step 3)",
}
DATASET_KEYS = ("names", "dataset_name")
_ROOM = 2**20  # bytes on the disk, for the log and the first results


def check_run(
    cfg: DictConfig, kind: str, *, gpus: int = 1, machines: int = 1, resume: bool = False
) -> None:
    """Check what a run needs, before anything is built.

    Args:
        cfg: the config.
        kind: "train", "test" or "search".
        gpus: processes on each machine, each with a GPU where the device is one.
        machines: how many take part.
        resume: a run that goes on needs no initial checkpoint.

    Raises:
        ConfigError: with every problem found, each with what to do.
    """
    missing = [key for key in REQUIRED[kind] if OmegaConf.select(cfg, key) in (None, "")]
    if missing:
        raise ConfigError(
            f"The config lacks {', '.join(missing)}; it is not a config of {PURPOSE[kind]}. Start "
            "from one in configs/, or take 'train' from configs/common/train.py."
        )
    gpus = max(gpus, 1)  # as Detectron2's launch takes --num-gpus 0
    problems = [
        *_datasets(cfg, kind),
        *(_workers(cfg.search) if kind == "search" else ()),
        *_device(cfg, gpus, kind),
        *(_batch(cfg, gpus * machines) if kind == "train" else ()),
        *_architecture(cfg.model, "model"),
        *_output(cfg),
    ]
    trained = os.path.exists(os.path.join(cfg.train.output_dir, "last_checkpoint"))
    if kind == "train" and trained and not resume:
        problems.append(
            f"{cfg.train.output_dir!r} holds a training already; pass --resume to go on with it, "
            "or choose another train.output_dir."
        )
    if not (kind == "train" and trained and resume):
        problems += _checkpoint(cfg)
    if problems:
        lines = [f"  {i}. {p}" for i, p in enumerate(problems, 1)]
        raise ConfigError("The run cannot start:\n" + "\n".join(lines))


def _datasets(cfg: DictConfig, kind: str) -> Iterator[str]:
    evaluated = kind != "train" or cfg.get("path_sampler") is None  # a supernet is not tested
    loaders = {"train": ["train"], "test": [], "search": ["calibration"]}[kind]
    loaders += ["test", "evaluator"] if evaluated else []
    nodes = [cfg.dataloader.get(key) for key in loaders]
    names = list(dict.fromkeys(name for node in nodes for name in dataset_names(node)))
    missing = []
    for name in names:
        try:
            missing += missing_datasets(name)
        except DataError as e:  # no such name
            yield str(e)
    if missing:
        yield describe_missing(missing).replace("\n", "\n     ")


def dataset_names(node: Any) -> Iterator[str]:
    """The data sets that loaders and evaluator of a config name, at any depth."""
    if isinstance(node, ListConfig):
        for value in node:
            yield from dataset_names(value)
    elif isinstance(node, DictConfig):
        for key in map(str, node):
            if OmegaConf.is_missing(node, key):
                continue
            value = node[key]
            if key in DATASET_KEYS:
                yield from [value] if isinstance(value, str) else list(value)
            else:
                yield from dataset_names(value)


def _workers(search: DictConfig) -> Iterator[str]:
    workers, address = search.get("workers", 0), search.get("address")
    for name, value, lowest in (("workers", workers, 0), ("retries", search.get("retries", 0), 0)):
        if type(value) is not int or value < lowest:
            yield f"search.{name} is {value!r}; expected a whole number from {lowest}."
    threads, time_limit = search.get("threads"), search.get("time_limit")
    if threads is not None and (type(threads) is not int or threads < 1):
        yield f"search.threads is {threads!r}; expected a whole number from 1, or null."
    if time_limit is not None and not (type(time_limit) in (int, float) and time_limit > 0):
        yield f"search.time_limit is {time_limit!r}; expected seconds above 0, or null."
    if not workers:
        for name, value in (("address", address), ("time_limit", time_limit)):
            if value is not None:
                yield (
                    f"search.{name} needs workers, for only they can run elsewhere and be stopped; "
                    f"set search.workers to 1 or more, or search.{name} to null."
                )
    elif importlib.util.find_spec("ray") is None:
        yield (
            f"search.workers is {workers}, which needs Ray: pip install 'detnas-d2[ray]'; or "
            "search.workers=0."
        )


def _device(cfg: DictConfig, gpus: int, kind: str) -> Iterator[str]:
    workers = cfg.search.get("workers", 0) if kind == "search" else 0
    if workers and cfg.search.get("address") is not None:
        return  # the GPUs are those of other machines
    if not str(cfg.train.device).startswith("cuda"):
        if OmegaConf.select(cfg, "train.amp.enabled"):
            yield "train.amp.enabled needs a GPU; on a CPU: train.amp.enabled=False."
        return
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found == 0:
        yield "train.device is 'cuda', but PyTorch sees no GPU here; for a CPU: train.device=cpu."
    elif gpus > found:
        yield f"--num-gpus is {gpus}, but PyTorch sees {found} GPU(s) here."
    elif type(workers) is int and workers > found:
        yield (
            f"search.workers is {workers}, each with a GPU, but PyTorch sees {found} here; set it "
            f"to {found} at most, or search.address to a cluster's."
        )


def _batch(cfg: DictConfig, processes: int) -> Iterator[str]:
    size = OmegaConf.select(cfg, "dataloader.train.total_batch_size")
    if isinstance(size, int) and size % processes:
        yield (
            f"dataloader.train.total_batch_size is {size}, which {processes} processes can't share "
            "evenly; choose a multiple."
        )


def _architecture(node: DictConfig, key: str) -> Iterator[str]:
    """Spaces and architectures that aren't any, wherever they stand in the model."""
    if "space" in node:
        try:
            space = resolve_space(instantiate(node.space))
            if "architecture" in node:
                Architecture.parse(node.architecture, space)
        except (SpaceError, ArchitectureError, TypeError) as e:
            yield f"{key}: {e}"
        return
    for name in map(str, node):
        if OmegaConf.is_missing(node, name) or OmegaConf.is_interpolation(node, name):
            continue
        if isinstance(node[name], DictConfig):
            yield from _architecture(node[name], f"{key}.{name}")


def _checkpoint(cfg: DictConfig) -> Iterator[str]:
    path = cfg.train.get("init_checkpoint")
    if path and "://" not in path and not os.path.isfile(path):
        yield (
            f"train.init_checkpoint: {path!r} does not exist. It is what the step before writes; "
            "run that first, or set train.init_checkpoint to the file (or to '' for none)."
        )


def _output(cfg: DictConfig) -> Iterator[str]:
    folder = os.path.abspath(cfg.train.output_dir)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        yield (
            f"train.output_dir: {cfg.train.output_dir!r} can't be made or written to; set another."
        )
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM))
            file.flush()
    except OSError as e:
        yield (
            f"train.output_dir: {cfg.train.output_dir!r} has no room for {_ROOM // 2**20} MiB "
            f"({e.strerror}); make room, or set another."
        )
