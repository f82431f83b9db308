"""A trained network out of the folder that its training has left."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import detectron2.data.transforms as T
import torch
import yaml
from detectron2.config import instantiate
from detectron2.data import DatasetMapper
from detectron2.modeling import build_model
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from ..engine import ConfigError, DetNASCheckpointer, backbone_node, load_config
from ..engine.checkpoint_file import of_supernet
from ..engine.preflight import dataset_names
from ..engine.setup import CONFIG_FILE
from ..modeling import find_backbone, find_supernet, get_cfg
from ..modeling.yacs_file import merge_yacs_file
from ..own_modules import why_not_read
from ..trust import add_trust, check_targets, is_code
from ..trusted import MAPPERS, MODELS
from .checkpoints import categories_in, last_checkpoint, stated_architecture
from .errors import TrainedError


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
        help=f"output folder of a training, with {CONFIG_FILE} and its checkpoints; or a config "
        "file",
    )
    parser.add_argument(
        "--weights", metavar="FILE", help="another checkpoint than the last one of the folder"
    )
    add_trust(parser)


def config_of(source: Path) -> Path:
    """The config file of a training's folder, or the file itself."""
    return source / CONFIG_FILE if source.is_dir() else source


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
    read = _read_yacs if is_yacs(file) else _read_lazy
    path = Path(weights) if weights else last_checkpoint(file.parent)
    made = read(file, stated_architecture(path), trust)
    if find_supernet(made["model"]) is not None:
        raise TrainedError(of_supernet(str(path)))
    left = DetNASCheckpointer(made["model"]).load(str(path), checkpointables=[])
    made["model"].eval()
    categories = categories_in(left, (*made.pop("train_sets"), *made["test_sets"]))
    return Trained(weights=path, categories=categories, **made)


def _nothing_in(source: Path) -> str:
    if not source.exists():
        return f"{source} does not exist; expected the output folder of a training."
    inside = sorted(str(p.parent) for p in source.glob(f"*/{CONFIG_FILE}"))
    hint = f"Give one of the folders in it: {', '.join(inside[:8])}." if inside else ""
    return (
        f"{source} has no {CONFIG_FILE}; expected the output folder of a training "
        f"(train.output_dir of a step 4 config), or its config file with --weights. {hint}"
    )


def _read_lazy(file: Path, architecture: list[int] | None, trust: bool) -> dict[str, Any]:
    """Fields of `Trained`, and "train_sets", by a LazyConfig file."""
    cfg = load_config(str(file), trust=trust)
    node = backbone_node(cfg) if "backbone" in (cfg.get("model") or ()) else None
    if node is not None and "architecture" in node and architecture is not None:
        node.architecture = architecture
    found = {}
    for key, names in (("model", MODELS), ("dataloader.test.mapper", MAPPERS)):
        try:
            node = OmegaConf.select(cfg, key)
            if not isinstance(node, DictConfig) or "_target_" not in node:
                raise TrainedError(f"{file} makes no `{key}`; expected the config of a training.")
            if not is_code(str(file), trust):  # by way of another node, too
                check_targets(node, names, str(file))
            found[key] = instantiate(node)
        except OmegaConfBaseException as e:
            raise ConfigError(f"{file} can't be used: {e}") from e
        except ImportError as e:
            raise TrainedError(why_not_read("", e)) from e
    model, mapper = found.values()
    return {
        "model": model,
        "mapper": mapper,
        "image_format": getattr(mapper, "image_format", "BGR"),
        "train_sets": dataset_names(cfg.dataloader.get("train")),
        "test_sets": tuple(dataset_names(cfg.dataloader.test)),
    }


def _read_yacs(file: Path, architecture: list[int] | None, trust: bool) -> dict[str, Any]:
    cfg = get_cfg()
    try:
        merge_yacs_file(cfg, file, trust=trust)
    except (KeyError, ValueError, AssertionError, OSError, yaml.YAMLError) as e:
        raise ConfigError(
            f"{file} could not be read as a yacs config: {e}. Keys that a project adds itself are "
            "not known here; take the project's own code for it."
        ) from e
    if architecture is not None and cfg.MODEL.DETNAS.ARCHITECTURE is not None:
        cfg.MODEL.DETNAS.ARCHITECTURE = architecture
    cfg.MODEL.DEVICE = "cpu"
    return {
        "model": build_model(cfg),
        "mapper": DatasetMapper(cfg, is_train=False),
        "image_format": cfg.INPUT.FORMAT,
        "train_sets": cfg.DATASETS.TRAIN,
        "test_sets": tuple(cfg.DATASETS.TEST),
    }


def is_yacs(file: Path) -> bool:
    """Whether a config file is a yacs project's; otherwise it is a LazyConfig."""
    if file.suffix not in (".yaml", ".yml"):
        return False
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as e:
        raise ConfigError(f"{file} could not be read: {e}") from e
    return re.search(r"^MODEL:", text, re.MULTILINE) is not None
