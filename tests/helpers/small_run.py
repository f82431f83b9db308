"""A run at small width on a CPU, with random images in the place of its data.

Choices, stages, levels, heads, norms, losses, optimiser and schedule stay those of the config; the
numbers of channels, blocks in a stage, proposals and classes become small, so that one step takes a
fraction of a second.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from detectron2.config import LazyCall as L
from detectron2.config import instantiate
from detectron2.config.instantiate import dump_dataclass
from detectron2.data import DatasetCatalog
from detectron2.engine import TrainerBase, hooks
from detectron2.evaluation import DatasetEvaluator
from detectron2.modeling import GeneralizedRCNN
from detectron2.structures import Boxes, Instances
from detectron2.utils.registry import locate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from detnas_d2.engine import LazyTrainer, SupernetTrainer, backbone_node
from detnas_d2.engine.hooks import Checkpointing, GracefulStop
from detnas_d2.modeling import Classifier, find_supernet
from detnas_d2.space import CostTable, SearchSpace, Stage, resolve_space

IMAGE_SIZE = 64
BLOCKS = 2  # of a stage: one with its stride, one without
DATASET = "stand_in"
METRICS = {"bbox": ("AP", "AP50"), "classification": ("top1",)}
"""What the searches of the configs go by, of those of their evaluators."""
_SAMPLING = {
    "proposal_generator": {
        "batch_size_per_image": 16,
        "pre_nms_topk": (50, 50),
        "post_nms_topk": (10, 10),
    },
    "roi_heads": {"batch_size_per_image": 8},
}


def at_small_width(cfg: DictConfig, output_dir: str) -> DictConfig:
    """A copy of the config at small width, on stand-in data, that starts from no checkpoint."""
    cfg = copy.deepcopy(cfg)
    model = cfg.model
    classifies = target_of(model) is Classifier
    if classifies:
        model.num_classes, model.last_channels = 4, 8
    classes = OmegaConf.select(cfg, "model.roi_heads.num_classes") or model.num_classes
    bottom = backbone_node(cfg)
    if "space" in bottom:
        space = _narrow(resolve_space(instantiate(bottom.space)))
        bottom.space = dump_dataclass(space)
        if "architecture" in bottom:
            bottom.architecture = str(CostTable(space).flops.cheapest())
        if cfg.get("path_sampler") is not None:
            cfg.path_sampler.space = dump_dataclass(space)
            if "low" in cfg.path_sampler:
                cfg.path_sampler.update(low=0, high=1e12, bins=1)
        if not classifies:
            _narrow_detector(model)
    for part, values in _SAMPLING.items():
        if part in model:
            model[part].update(values)
    _stand_in_data(cfg, classes)
    cfg.train.update(device="cpu", init_checkpoint="", output_dir=output_dir)
    cfg.train.amp.enabled = False
    return cfg


def train_one_step(cfg: DictConfig) -> None:
    """One iteration of the run's own trainer, with its own hooks less those that write files."""
    supernet_wanted = cfg.get("path_sampler") is not None

    class OneStep(SupernetTrainer if supernet_wanted else LazyTrainer):  # type: ignore[misc]
        def build_writers(self) -> list[Any]:
            return []

        def build_hooks(self) -> list[Any]:
            files = (hooks.EvalHook, hooks.PeriodicWriter, Checkpointing, GracefulStop)
            return [hook for hook in super().build_hooks() if not isinstance(hook, files)]

    trainer = OneStep(cfg)
    trainer.resume_or_load(resume=False)
    trainer.max_iter = 1  # the schedule keeps its own length
    check_step(trainer, trainer.model, supernet_wanted)


def check_step(trainer: TrainerBase, model: nn.Module, supernet_wanted: bool) -> None:
    """Train, and see which weights of the model got gradients and were moved."""
    before = [p.detach().clone() for p in model.parameters()]
    trainer.train()
    after = list(model.parameters())
    moved = {id(p) for p, old in zip(after, before, strict=True) if not torch.equal(p, old)}
    assert moved
    supernet = find_supernet(model)
    assert (supernet is not None) == supernet_wanted
    if supernet is not None:
        off = supernet.inactive_parameters()
        assert not any(p.grad is not None or id(p) in moved for p in off)
        on = {id(p) for p in supernet.parameters()} - {id(p) for p in off}
        assert all(p.grad is not None for p in supernet.parameters() if id(p) in on)


def check_fit(model: nn.Module) -> None:
    """Run backbone, FPN and heads of a meta model at 224x224, and compare strides."""
    image = torch.empty(3, 224, 224, device="meta")
    with torch.no_grad():
        if isinstance(model, Classifier):
            model([{"image": image}])
            return
        features = model.backbone(image[None])
        if isinstance(model, GeneralizedRCNN):
            rpn, heads = model.proposal_generator, model.roi_heads
            levels, anchors = rpn.in_features, rpn.anchor_generator
            rpn.rpn_head([features[f] for f in levels])
            channels = features[heads.box_in_features[0]].shape[1]
            pooled = image.new_empty(2, channels, *heads.box_pooler.output_size)
            heads.box_predictor(heads.box_head(pooled))
            strides = [1 / pooler.spatial_scale for pooler in heads.box_pooler.level_poolers]
            assert strides == _strides(model.backbone, heads.box_in_features)
        else:
            levels, anchors = model.head_in_features, model.anchor_generator
            model.head([features[f] for f in levels])
    assert list(anchors.strides) == _strides(model.backbone, levels)


def _strides(backbone: Any, levels: list[str]) -> list[int]:
    return [backbone.output_shape()[level].stride for level in levels]


class StandInBatches:
    """Batches of two random images with a class and two boxes each, always the same.

    Args:
        classes: labels are 0 to classes - 1.
        dataset: with the key "names", as the loaders that this stands for.
        seed: as those have it; plays no part.
    """

    def __init__(self, classes: int, dataset: Any = None, seed: int = 0) -> None:
        self._classes = classes

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        generator = torch.Generator().manual_seed(0)
        return iter([[self._image(generator) for _ in range(2)] for _ in range(len(self))])

    def _image(self, generator: torch.Generator) -> dict[str, Any]:
        size = (IMAGE_SIZE, IMAGE_SIZE)
        instances = Instances(size)
        instances.gt_boxes = Boxes(torch.tensor([[4.0, 6.0, 40.0, 50.0], [20.0, 10.0, 60.0, 30.0]]))
        instances.gt_classes = torch.randint(self._classes, (2,), generator=generator)
        return {
            "image": torch.randint(256, (3, *size), dtype=torch.uint8, generator=generator),
            "instances": instances,
            "category_id": int(instances.gt_classes[0]),
            "height": IMAGE_SIZE,
            "width": IMAGE_SIZE,
        }


class StandInEvaluator(DatasetEvaluator):
    """Zero for each metric of a task."""

    def __init__(self, dataset_name: str, task: str) -> None:
        self._task = task

    def evaluate(self) -> dict[str, Any]:
        return OrderedDict([(self._task, dict.fromkeys(METRICS[self._task], 0.0))])


def target_of(node: DictConfig) -> Any:
    """The class or function that a node calls, by name or itself."""
    return locate(node._target_) if isinstance(node._target_, str) else node._target_


def _narrow(space: SearchSpace) -> SearchSpace:
    stages = tuple(
        Stage(8 + 4 * i, min(s.blocks, BLOCKS), s.stride) for i, s in enumerate(space.stages)
    )
    return SearchSpace(space.name, 4, stages, space.choices)


def _narrow_detector(model: DictConfig) -> None:
    model.backbone.out_channels = 8
    head = model.head if "head" in model else model.roi_heads.box_head
    head.conv_dims = [8] * len(head.conv_dims)
    if "fc_dims" in head:
        head.fc_dims = [8] * len(head.fc_dims)


def _stand_in_data(cfg: DictConfig, classes: int) -> None:
    if DATASET not in DatasetCatalog:
        DatasetCatalog.register(DATASET, list)
    for key in ("train", "calibration", "test"):
        cfg.dataloader[key] = L(StandInBatches)(classes=classes, dataset={"names": DATASET}, seed=0)
    task = "classification" if target_of(cfg.model) is Classifier else "bbox"
    cfg.dataloader.evaluator = L(StandInEvaluator)(dataset_name=DATASET, task=task)
