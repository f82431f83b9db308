"""What can't work is refused before work starts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from detectron2.config import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..data import DataError, describe_missing, missing_datasets
from ..errors import ConfigError
from ..rules import number, whole, why_wrong
from ..settings import KEYS, OF_DETECTRON2
from ..space import Architecture, ArchitectureError, SpaceError, resolve_space
from .checkpoint_file import why_no_checkpoint
from .machines import ONE, Processes, wrong_device
from .overrides import walk
from .targets import wrong_targets

_NEEDED = {
    "train": ("optimizer", "lr_multiplier", "dataloader.train"),
    "test": ("dataloader.test", "dataloader.evaluator", "train.init_checkpoint"),
    "search": ("search",),
}
"""What must be there and not null, besides the model and settings that can't be null."""
_SEEDED = {"num_workers": whole(0), "total_batch_size": whole(1), "seed": whole(0)}
_PARTS = {
    "optimizer": {"lr": number(), "momentum": number(zero=True), "weight_decay": number(zero=True)},
    "dataloader.train": _SEEDED,
    "dataloader.calibration": _SEEDED,
    "dataloader.test": {"batch_size": whole(1), "num_workers": whole(0)},
    "model": {"num_classes": whole(1)},
    "model.roi_heads": {"num_classes": whole(1)},
}
_RULES = (
    {key: field.metadata["rule"] for key, field in KEYS.items()}
    | OF_DETECTRON2
    | {f"{part}.{key}": rule for part, rules in _PARTS.items() for key, rule in rules.items()}
)
"""What a value has to be, where the config has the key."""
PURPOSE = {
    "train": "a training (train_net.py; steps 1, 2 and 4)",
    "test": "a test (train_net.py --eval-only; step 5)",
    "search": "a search (search_net.py; step 3)",
}
DATASET_KEYS = ("names", "dataset_name")
_ROOM = 2**20  # bytes on the disk, for the log and the first results


def check_run(
    cfg: DictConfig, kind: str, processes: Processes = ONE, *, resume: bool = False
) -> None:
    """Check what a run needs, before anything is built; what a search's fitness needs besides is
    left to `check_fitness`.

    Args:
        cfg: the config.
        kind: "train", "test" or "search".
        processes: that the run is started in.
        resume: a run that goes on needs no initial checkpoint.

    Raises:
        ConfigError: with every problem found, each with what to do.
    """
    needed = ["model", *_NEEDED[kind], "train"]
    of_kind = [key for key, field in KEYS.items() if kind in field.metadata["runs"]]
    needed += [key for key in of_kind if not _RULES[key].allows(None)]
    missing = [key for key in needed if OmegaConf.select(cfg, key) in (None, "")]
    missing = [key for key in missing if not any(key.startswith(f"{m}.") for m in missing)]
    if missing:
        raise ConfigError(
            f"The config lacks {', '.join(missing)}; it is not a config of {PURPOSE[kind]}. Start "
            "from one in configs/, or take 'train' from configs/common/train.py."
        )
    problems = [
        *processes.problems(),
        *_values(cfg),
        *wrong_targets(cfg),
        *_datasets(cfg, _loaders(cfg, kind)),
        # in a search, the executor looks at devices
        *(() if kind == "search" else wrong_device(cfg, max(processes.gpus, 1), 0)),
        *(_batch(cfg, processes.total) if kind == "train" else ()),
        *_architectures(cfg),
        *_output(cfg),
    ]
    trained = os.path.exists(os.path.join(cfg.train.output_dir, "last_checkpoint"))
    if kind == "train" and trained and not resume:
        problems.append(
            f"{cfg.train.output_dir!r} holds a training already; pass --resume to go on with it, "
            "or choose another train.output_dir."
        )
    if kind != "search" and not (trained and resume and kind == "train"):
        problems += _checkpoint(cfg)
    _refuse(problems)


def check_fitness(cfg: DictConfig, weights: str, loaders: Sequence[str]) -> None:
    """Check what the fitness of a search says that it needs.

    Args:
        weights, loaders: as `CandidateFitness` has them.

    Raises:
        ConfigError: with every problem found, each with what to do.
    """
    problems = []
    if weights == "supernet" and not cfg.train.get("init_checkpoint"):
        problems.append(
            "The config lacks train.init_checkpoint, the weights of the supernet that is searched: "
            "give the model_final.pth of step 2, or do without a supernet (docs/search.md, Short "
            "trainings)."
        )
    problems += [
        f"The config lacks dataloader.{key}, which search.fitness needs: take it from a config in "
        "configs/common/data."
        for key in loaders
        if OmegaConf.select(cfg, f"dataloader.{key}") is None
    ]
    problems += _datasets(cfg, loaders)
    if weights != "none":
        problems += _checkpoint(cfg)
    _refuse(problems)


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        # once each: what `train.device` can be is looked at twice
        lines = [f"  {i}. {p}" for i, p in enumerate(dict.fromkeys(problems), 1)]
        raise ConfigError("The run cannot start:\n" + "\n".join(lines))


def _values(cfg: DictConfig) -> Iterator[str]:
    for key, rule in _RULES.items():
        parent, _, leaf = key.rpartition(".")
        try:
            node = OmegaConf.select(cfg, parent)
            if isinstance(node, DictConfig) and leaf in node and not rule.allows(node[leaf]):
                yield why_wrong(key, node[leaf], rule)
        except OmegaConfBaseException as e:
            yield f"{key}: {e}"


def _loaders(cfg: DictConfig, kind: str) -> list[str]:
    if kind == "search":
        return []  # its fitness names them
    evaluated = kind == "test" or cfg.get("path_sampler") is None  # a supernet is not tested
    return [*(["train"] if kind == "train" else []), *(["test", "evaluator"] if evaluated else [])]


def _datasets(cfg: DictConfig, loaders: Sequence[str]) -> Iterator[str]:
    nodes = [OmegaConf.select(cfg, f"dataloader.{key}") for key in loaders]
    names = list(dict.fromkeys(name for node in nodes for name in dataset_names(node)))
    missing = []
    for name in names:
        try:
            missing += missing_datasets(name)
        except DataError as e:  # no such name
            yield str(e)
    if missing:
        yield describe_missing(missing).replace("\n", "\n     ")

    reads = OmegaConf.select(cfg, "dataloader.test.dataset.names")
    scored = OmegaConf.select(cfg, "dataloader.evaluator.dataset_name")
    if (
        {"test", "evaluator"} <= {*loaders}
        and isinstance(reads, str)
        and isinstance(scored, str)
        and reads != scored
    ):
        yield (
            f"dataloader.evaluator.dataset_name is {scored!r}, but dataloader.test reads {reads!r};"
            " set dataloader.test.dataset.names alone, the evaluator follows it."
        )


def dataset_names(node: Any) -> Iterator[str]:
    """The data sets that loaders and evaluator of a config name, at any depth."""
    for key, value in walk(node, follow=True):
        if key.rpartition(".")[2] in DATASET_KEYS:
            yield from [value] if isinstance(value, str) else value or ()


def _batch(cfg: DictConfig, processes: int) -> Iterator[str]:
    size = OmegaConf.select(cfg, "dataloader.train.total_batch_size")
    if type(size) is int and size > 0 and size % processes:
        yield (
            f"dataloader.train.total_batch_size is {size}, which {processes} processes can't share "
            "evenly; choose a multiple."
        )


def _architectures(cfg: DictConfig) -> Iterator[str]:
    """Spaces and architectures that aren't any, wherever they stand in the model."""
    for key, node in walk(cfg.model, "model"):
        if isinstance(node, DictConfig) and "space" in node:
            try:
                space = resolve_space(instantiate(node.space))
                if "architecture" in node:
                    Architecture.parse(node.architecture, space)
            except (SpaceError, ArchitectureError, TypeError) as e:
                yield f"{key}: {e}"


def _checkpoint(cfg: DictConfig) -> Iterator[str]:
    path = cfg.train.get("init_checkpoint")
    if not path or "://" in path:
        return
    if not os.path.exists(path):
        yield (
            f"train.init_checkpoint: {path!r} does not exist. It is what the step before writes; "
            "run that first, or set train.init_checkpoint to the file (or to '' for none)."
        )
        return
    try:
        why = why_no_checkpoint(path)
    except OSError as e:
        why = f"can't be read ({e.strerror})"
    if why:
        yield (
            f"train.init_checkpoint: {path!r} {why}. Expected a checkpoint that torch.save wrote, "
            "such as the model_final.pth of the step before; copy it anew, or run that step."
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
