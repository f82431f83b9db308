"""Tiny spaces, data and configs for the tests of training and evaluation, and their scripts."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.config import LazyCall as L
from detectron2.config import LazyConfig
from detectron2.data import get_detection_dataset_dicts
from detectron2.evaluation import DatasetEvaluator
from detectron2.solver.build import get_default_optimizer_params
from detectron2.structures import Boxes, Instances
from detectron2.utils import comm
from fvcore.common.param_scheduler import LinearParamScheduler
from omegaconf import DictConfig, OmegaConf

from detnas_d2.data import ImageBatch, build_test_loader, build_train_loader
from detnas_d2.engine.metrics import TIMES
from detnas_d2.evaluation import ClassificationEvaluator, SupernetFitness
from detnas_d2.modeling import Classifier, Norm, StandAloneNetwork, Supernet
from detnas_d2.space import SearchSpace, ShuffleChoice, Stage, UniformPathSampler, XceptionChoice

ROOT = Path(__file__).resolve().parents[2]
CHOICES = (ShuffleChoice(3), ShuffleChoice(5), XceptionChoice())
SPACE = SearchSpace("tiny", 4, (Stage(8, 1), Stage(12, 1), Stage(16, 2), Stage(20, 1)), CHOICES)
OTHER = SearchSpace("other", 4, (Stage(8, 1), Stage(12, 2), Stage(16, 1), Stage(20, 1)), CHOICES)
ARCHITECTURE = (2, 0, 1, 2, 0)

SGD = L(torch.optim.SGD)(
    params=L(get_default_optimizer_params)(), lr=0.05, momentum=0.9, weight_decay=0.01
)
ADAMW = L(torch.optim.AdamW)(
    params=L(get_default_optimizer_params)(weight_decay_norm=0.0), lr=0.003, weight_decay=0.1
)


def space_node(space: SearchSpace = SPACE) -> DictConfig:
    """The space as a config file writes it, so that checkpoints and dumps see what users have."""
    return L(SearchSpace)(
        name=space.name,
        stem_channels=space.stem_channels,
        stages=[L(Stage)(channels=s.channels, blocks=s.blocks) for s in space.stages],
        choices=[
            L(ShuffleChoice)(kernel_size=3),
            L(ShuffleChoice)(kernel_size=5),
            L(XceptionChoice)(),
        ],
    )


# data


def records(names: str, count: int = 24) -> list[dict[str, Any]]:
    """A data set of three classes; "names" as Detectron2's loaders call it."""
    first = {"train": 0, "val": 1000}[names]
    return [
        {"file_name": f"{names}_{i}", "image_id": first + i, "category_id": (i * i) % 3}
        for i in range(count)
    ]


class NoiseMapper:
    """Images drawn from the image's number, and noise from numpy's and torch's generators.

    With `boxes`, that many boxes of an image, for a detector; without, a classifier's batches.
    """

    def __init__(self, size: int = 33, augment: bool = True, boxes: int = 0) -> None:
        self.size, self.augment, self.boxes = size, augment, boxes
        if not boxes:
            self.collate = ImageBatch.collate

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        rng = np.random.default_rng(record["image_id"])
        image = rng.uniform(0, 255, (3, self.size, self.size)) + 20 * record["category_id"]
        if self.augment:
            image = image + np.random.normal(0, 20) + float(torch.randn(()))
        record = {**record, "height": self.size, "width": self.size}
        record["image"] = torch.as_tensor(image.clip(0, 255).astype("uint8"))
        if self.boxes:
            corners = rng.uniform(0, self.size / 2, (self.boxes, 2))
            sides = rng.uniform(self.size / 4, self.size / 2, (self.boxes, 2))
            instances = Instances((self.size, self.size))
            instances.gt_boxes = Boxes(
                torch.as_tensor(np.concatenate([corners, corners + sides], 1), dtype=torch.float32)
            )
            instances.gt_classes = torch.as_tensor(rng.integers(0, 3, self.boxes))
            record["instances"] = instances
        return record


class OutputSum(DatasetEvaluator):
    """A metric that any change of any output shows in: sums in float64."""

    def __init__(self, dataset_name: str) -> None:
        self.name = dataset_name

    def reset(self) -> None:
        self.sums = [0.0, 0.0]

    def process(self, inputs: list[Any], outputs: list[Any]) -> None:
        for image, output in zip(inputs, outputs, strict=True):
            instances = output.get("instances")
            scores = output["scores"] if instances is None else instances.scores
            boxes = scores if instances is None else instances.pred_boxes.tensor
            print("chatter of an evaluator")
            # weighted, so that images that change places show
            self.sums[0] += (image["image_id"] % 7 + 1) * float(scores.double().sum())
            self.sums[1] += float((boxes.double() ** 2).sum())

    def evaluate(self) -> dict[str, Any]:
        gathered = comm.gather(self.sums)
        if not comm.is_main_process():
            return {}
        ap, squares = (sum(values) for values in zip(*gathered, strict=True))
        return OrderedDict(bbox={"AP": ap, "squares": squares})


# configs


def backbone_node(architecture: Any, norm: Any, features: list[str]) -> DictConfig:
    common = {"space": space_node(), "norm": norm, "out_features": features}
    if architecture is None:
        return L(Supernet)(**common)
    return L(StandAloneNetwork)(architecture=list(architecture), **common)


def train_loader(**more: Any) -> DictConfig:
    settings = {"total_batch_size": 4, "aspect_ratio_grouping": False, **more}
    parts = {"dataset": L(records)(names="train"), "mapper": L(NoiseMapper)()}
    return L(build_train_loader)(**parts, **settings)


def classifier(
    output_dir: Path | str, architecture: Any = None, optimizer: Any = SGD, norm: str = "BN"
) -> DictConfig:
    """A supernet's classifier (without architecture), or that of a fixed network."""
    backbone = backbone_node(architecture, L(Norm)(name=norm), ["res5"])
    cfg = {
        "model": L(Classifier)(backbone=backbone, num_classes=3, last_channels=16, norm=norm),
        "optimizer": optimizer,
        "lr_multiplier": L(LinearParamScheduler)(start_value=1.0, end_value=0.0),
        "dataloader": {
            "train": train_loader(num_workers=0, seed="${train.seed}"),
            "calibration": train_loader(seed=0),
            "test": L(build_test_loader)(
                dataset=L(records)(names="val"), mapper=L(NoiseMapper)(augment=False), batch_size=5
            ),
            "evaluator": L(ClassificationEvaluator)(dataset_name="val", topk=(1, 2)),
        },
        "train": {
            "output_dir": str(output_dir),
            "init_checkpoint": "",
            "max_iter": 9,
            "seed": 3,
            "amp": {"enabled": False},
            "checkpointer": {"period": 3, "max_to_keep": 2},
            "eval_period": 0,
            "log_period": 2,
            "device": "cpu",
        },
        "search": {
            "fitness": L(SupernetFitness)(
                metric="classification/top1",
                calibration_batches=3,
                batch_size=2,
                amp=False,
                channels_last=None,
                cache_memory=1,
            )
        },
    }
    if architecture is None:
        cfg["path_sampler"] = L(UniformPathSampler)(space=space_node(), seed="${train.seed}")
    return OmegaConf.create(cfg, flags={"allow_objects": True})


def detector(
    output_dir: Path | str, architecture: Any = None, images: int | None = None
) -> DictConfig:
    """Faster R-CNN on BCCD at 96 x 72 pixels, from the project's own config files."""
    model = LazyConfig.load(str(ROOT / "configs/common/models/fpn_small.py")).model
    features = ["res2", "res3", "res4", "res5"]
    model.backbone.bottom_up = backbone_node(architecture, "${..norm}", features)
    model.backbone.out_channels = 8
    model.proposal_generator.batch_size_per_image = 16
    model.proposal_generator.pre_nms_topk = (30, 20)
    model.proposal_generator.post_nms_topk = (12, 8)
    model.roi_heads.batch_size_per_image = 8
    model.roi_heads.box_head.conv_dims = [8]
    model.roi_heads.box_head.fc_dims = [16]
    model.roi_heads.num_classes = 3
    data = LazyConfig.load(str(ROOT / "configs/common/data/bccd.py")).dataloader
    for mapper in (data.train.mapper, data.test.mapper):
        mapper.augmentations[0].short_edge_length = 72
        mapper.augmentations[0].max_size = 96
    data.train.total_batch_size = data.calibration.total_batch_size = 2
    data.train.dataset = L(first)(names="bccd_train", count=16)
    data.test.dataset = L(first)(names="bccd_val", count=3)
    data.evaluator = L(OutputSum)(dataset_name="bccd_val")
    cfg = classifier(output_dir, architecture, optimizer=ADAMW)
    cfg.model = model
    cfg.dataloader = data
    cfg.search.fitness.metric = "bbox/AP"
    return cfg


def retinanet(output_dir: Path | str, architecture: Any = None) -> DictConfig:
    """The same with RetinaNet, whose loss is divided by a moving average."""
    cfg = detector(output_dir, architecture)
    model = LazyConfig.load(str(ROOT / "configs/common/models/retinanet_small.py")).model
    norm = L(Norm)(name="naiveSyncBN")
    model.backbone.bottom_up = backbone_node(architecture, norm, ["res3", "res4", "res5"])
    model.backbone.top_block.in_channels = SPACE.stages[-1].channels
    model.backbone.out_channels = 8
    model.head.conv_dims = [8]
    model.test_score_thresh = 0.0  # untrained, it gives every class 1%
    model.num_classes = 3
    cfg.model = model
    return cfg


def listed(cfg: DictConfig) -> DictConfig:
    """A detector's config without what is of these tests: one that opens without --trust."""
    data = LazyConfig.load(str(ROOT / "configs/common/data/bccd.py")).dataloader
    for key in ("train", "test"):
        cfg.dataloader[key].dataset = data[key].dataset
    cfg.dataloader.evaluator = data.evaluator
    return cfg


def first(names: str, count: int) -> list[dict[str, Any]]:
    """The first images of a registered data set."""
    return get_detection_dataset_dicts(names, filter_empty=False)[:count]


# what a training leaves


def metrics(folder: Path | str) -> list[dict[str, Any]]:
    """The lines of metrics.json without times."""
    lines = [json.loads(line) for line in (Path(folder) / "metrics.json").open()]
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def same(a: Any, b: Any) -> bool:
    """Equality of nested containers, of tensors bit for bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def state(folder: Path | str, name: str = "model_final") -> dict[str, Any]:
    """What a checkpoint holds of weights, optimizer and schedule."""
    checkpoint = torch.load(Path(folder) / f"{name}.pth", weights_only=True)
    trainer = ("iteration", "hooks", "optimizer", "grad_scaler", "metrics")
    return {
        **{key: checkpoint[key] for key in ("model", "detnas")},
        **{key: checkpoint["trainer"][key] for key in trainer},
    }
