"""A trained network out of the folder that its training has left."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import detectron2.data.transforms as T
import torch
import yaml
from detectron2.config import instantiate
from detectron2.data import DatasetMapper
from detectron2.modeling import build_model
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from ..engine import ConfigError, DetNASCheckpointer, backbone_node, load_config
from ..engine.machines import DEVICE, visible_gpus
from ..engine.preflight import dataset_names
from ..modeling import find_backbone, find_supernet, get_cfg
from ..modeling.yacs_file import merge_yacs_file
from ..own_modules import why_not_read
from ..trust import add_trust, check_targets, is_code
from ..trusted import MAPPERS, MODELS
from .checkpoints import categories_in, last_checkpoint, of_supernet, stated_network
from .errors import DeviceError, TrainedError

CONFIG = "config.yaml"


@dataclass(frozen=True)
class Trained:
    """A trained network, in eval mode, and how images are given to it.

    Attributes:
        model: a detector or a classifier.
        weights: the checkpoint that it was loaded from.
        categories: ``{"id", "name"}`` of each class, by the model's class number; empty where the
            training has left no names.
        mapper: makes the model's input, as the test does, out of ``{"file_name": path}``.
        image_format: the order of the model's channels, "BGR" or "RGB".
        test_sets: the data sets that its config tests on.
    """

    model: nn.Module
    weights: Path
    categories: list[dict[str, Any]]
    mapper: Callable[[dict[str, Any]], dict[str, Any]]
    image_format: str
    test_sets: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """What a user of the network has to know, in builtins, as exported files hold it."""
        description: dict[str, Any] = {
            "weights": str(self.weights),
            "channels": self.image_format,
            "categories": self.categories,
        }
        for mean in ("pixel_mean", "pixel_std"):
            values = getattr(self.model, mean, None)
            if torch.is_tensor(values):
                description[mean] = values.flatten().tolist()
        for resize in getattr(getattr(self.mapper, "augmentations", None), "augs", ()):
            if isinstance(resize, T.ResizeShortestEdge):
                edge = resize.short_edge_length
                short = int(edge if isinstance(edge, int) else edge[-1])
                description["resize"] = {"short_edge": short, "max_size": int(resize.max_size)}
        found = find_backbone(self.model)
        if found:
            description["space"] = found[1].space.name
            description["architecture"] = list(getattr(found[1], "architecture", ()))
        return description


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a command the arguments that say which network is meant."""
    parser.add_argument(
        "output",
        metavar="OUTPUT",
        help=f"output folder of a training, with {CONFIG} and its checkpoints; or a config file",
    )
    parser.add_argument(
        "--weights", metavar="FILE", help="another checkpoint than the last one of the folder"
    )
    add_trust(parser)


def check_device(device: str) -> None:
    """
    Raises:
        DeviceError: a device that PyTorch does not know or see.
    """
    if not DEVICE.fullmatch(device):
        raise DeviceError(f"--device is {device!r}; expected cpu, cuda, or cuda:NUMBER.")
    found = visible_gpus()
    if device != "cpu" and int(device.partition(":")[2] or 0) >= found:
        raise DeviceError(
            f"--device is {device}, but PyTorch sees {found or 'no'} GPU(s) here; leave it out."
        )


def config_of(source: Path) -> Path:
    """The config file of a training's folder, or the file itself."""
    return source / CONFIG if source.is_dir() else source


def load_trained(
    source: str | Path, weights: str | Path | None = None, *, trust: bool = False
) -> Trained:
    """Build the network of a folder or config file and load its weights, on the CPU.

    The architecture is that of the checkpoint, so that the folder may have been moved, and the
    search's folder be gone.

    Args:
        source: the output folder of a training by train_net.py or by a yacs project, or its
            config file (.py, .yaml).
        weights: a checkpoint; left out: the folder's last one.
        trust: run whatever a YAML config names, such as blocks of one's own.

    Raises:
        TrustError: YAML that names such, without `trust`.
        TrainedError: a folder without a trained network, with what it is and what to do.
        ConfigError, CheckpointError: a config or checkpoint that can't be used.
    """
    source = Path(source)
    file = config_of(source)
    if not file.is_file():
        raise TrainedError(_nothing_in(source))
    path = Path(weights) if weights else None
    if is_yacs(file):
        return _load_yacs(file, path, trust)
    cfg = load_config(str(file), trust=trust)
    if OmegaConf.select(cfg, "model._target_") is None:
        raise TrainedError(f"{file} makes no `model`; expected the config of a training.")
    path = path or last_checkpoint(file.parent, cfg)
    stated = stated_network(path)
    if not is_code(str(file), trust):
        _check(cfg.model, MODELS, file)
    node = backbone_node(cfg) if "backbone" in cfg.model else None
    if node is not None and "architecture" in node and stated.get("architecture") is not None:
        node.architecture = stated["architecture"]
    try:
        model = instantiate(cfg.model)
    except ImportError as e:
        raise TrainedError(why_not_read("", e)) from e
    loader = cfg.get("dataloader") or OmegaConf.create()
    train, test = (tuple(dataset_names(loader.get(key))) for key in ("train", "test"))
    categories = _load(model, path, (*train, *test))
    if OmegaConf.select(loader, "test.mapper") is None:
        raise TrainedError(
            f"{file} has no dataloader.test.mapper, which gives images to the model."
        )
    if not is_code(str(file), trust):
        _check(loader.test.mapper, MAPPERS, file)
    mapper = instantiate(loader.test.mapper)
    image_format = getattr(mapper, "image_format", "BGR")
    return Trained(model, path, categories, mapper, image_format, test_sets=test)


def _nothing_in(source: Path) -> str:
    if not source.exists():
        return f"{source} does not exist; expected the output folder of a training."
    inside = sorted(str(p.parent) for p in source.glob(f"*/{CONFIG}"))
    hint = f"Give one of the folders in it: {', '.join(inside[:8])}." if inside else ""
    return (
        f"{source} has no {CONFIG}; expected the output folder of a training (train.output_dir of "
        f"a step 4 config), or its config file with --weights. {hint}"
    )


def _check(node: Any, listed: frozenset[str], file: Path) -> None:
    """Refuse what a file from elsewhere may make in another place, or by way of another node."""
    try:
        check_targets(node, listed, str(file))
    except OmegaConfBaseException as e:
        raise ConfigError(f"{file} can't be used: {e}") from e


def _load_yacs(file: Path, path: Path | None, trust: bool) -> Trained:
    cfg = get_cfg()
    try:
        merge_yacs_file(cfg, file, trust=trust)
    except (KeyError, ValueError, AssertionError, OSError, yaml.YAMLError) as e:
        raise ConfigError(
            f"{file} could not be read as a yacs config: {e}. Keys that a project adds itself are "
            "not known here; take the project's own code for it."
        ) from e
    path = path or last_checkpoint(file.parent)
    stated = stated_network(path)
    if stated.get("architecture") is not None and cfg.MODEL.DETNAS.ARCHITECTURE is not None:
        cfg.MODEL.DETNAS.ARCHITECTURE = stated["architecture"]
    cfg.MODEL.DEVICE = "cpu"
    model = build_model(cfg)
    categories = _load(model, path, (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST))
    mapper = DatasetMapper(cfg, is_train=False)
    test_sets = tuple(cfg.DATASETS.TEST)
    return Trained(model, path, categories, mapper, cfg.INPUT.FORMAT, test_sets)


def is_yacs(file: Path) -> bool:
    """Whether a config file is a yacs project's; otherwise it is a LazyConfig."""
    if file.suffix not in (".yaml", ".yml"):
        return False
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as e:
        raise ConfigError(f"{file} could not be read: {e}") from e
    return re.search(r"^MODEL:", text, re.MULTILINE) is not None


def _load(model: nn.Module, path: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """Load the weights; returns the categories, of the checkpoint or of the data sets `names`."""
    if find_supernet(model) is not None:
        raise TrainedError(of_supernet(path))
    left = DetNASCheckpointer(model).load(str(path), checkpointables=[])
    model.eval()
    return categories_in(left, names)
