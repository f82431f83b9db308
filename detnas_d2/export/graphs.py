"""Networks as functions of one tensor, which tracing can follow at any image size."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.export import TracingAdapter
from detectron2.layers import batched_nms
from detectron2.modeling import GeneralizedRCNN, RetinaNet
from detectron2.structures import Boxes
from torch import nn

from .errors import ExportError
from .features import FeatureExtractor, backbone_of
from .ties import TiesInOrder

Detections = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
DETECTIONS = ("boxes", "scores", "classes")


@dataclass(frozen=True)
class Graph:
    """A network to be traced, and the names and dynamic dimensions of what goes in and out.

    Attributes:
        outputs: names, in the order of the outputs.
        axes: name of an input or output -> its dynamic dimensions.
        network: what gives the outputs that the exported file has to give: for the backbone the
            extractor, for a detector the detector.
        ties_in_order: the exported file takes the first of anchors with equal scores, as ONNX does.
    """

    network: nn.Module
    outputs: tuple[str, ...]
    axes: dict[str, dict[int, str]]
    ties_in_order: bool = False

    @property
    def is_detector(self) -> bool:
        return self.outputs == DETECTIONS

    @torch.no_grad()
    def expected(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the network itself gives; see `TiesInOrder` for what ONNX decides otherwise."""
        if self.is_detector:
            with TiesInOrder() if self.ties_in_order else nullcontext():
                return detect(self.network, image)
        return tuple(self.network(image))

    def traceable(self, example: torch.Tensor) -> nn.Module:
        """The module to trace."""
        if not self.is_detector:
            return self.network
        if isinstance(self.network, RetinaNet):
            return RetinaNetInference(self.network).eval()
        return TracingAdapter(self.network, (example,), detect).eval()


def graph_of(model: nn.Module, part: str) -> Graph:
    """The graph of a model's "backbone" or of the whole "detector".

    Raises:
        ExportError: a model without such a part.
    """
    if part == "backbone":
        extractor = backbone_of(model)
        names = tuple(extractor.feature_info.module_name())
        dynamic = {0: "batch", 2: "height", 3: "width"}
        axes = {"image": dynamic}
        axes |= {name: {0: "batch", 2: f"{name}_height", 3: f"{name}_width"} for name in names}
        return Graph(_Tuple(extractor).eval(), names, axes)
    if not isinstance(model, (RetinaNet, GeneralizedRCNN)):
        raise ExportError(
            f"The model is a {type(model).__name__}; detectors that can be exported are RetinaNet "
            "and those of the R-CNN family (GeneralizedRCNN). Of others: --part backbone."
        )
    axes = {"image": {1: "height", 2: "width"}, **{name: {0: "detections"} for name in DETECTIONS}}
    return Graph(model, DETECTIONS, axes)


def detect(model: nn.Module, image: torch.Tensor) -> Detections:
    """The detections of a model of Detectron2 in one image (3, H, W)."""
    found = model([{"image": image}])[0]["instances"]
    return found.pred_boxes.tensor, found.scores, found.pred_classes


def score_floor(model: nn.Module) -> tuple[float, int]:
    """The score that a detection has to exceed, and how many an image has at most."""
    source: Any = model
    if isinstance(model, GeneralizedRCNN):
        source = model.roi_heads.box_predictor
        return float(source.test_score_thresh), int(source.test_topk_per_image)
    return float(source.test_score_thresh), int(source.max_detections_per_image)


class RetinaNetInference(nn.Module):
    """Detectron2's RetinaNet from an image to its detections.

    Detectron2's own inference takes the smaller of the number of candidates and its limit
    (``test_topk_candidates``), and tracing keeps for good the one that the example had.
    """

    def __init__(self, model: RetinaNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> Detections:
        """
        Args:
            image: (3, H, W), as the model was trained.

        Returns:
            boxes (N, 4) as x0, y0, x1, y1 in pixels of the image; scores (N,), falling; classes
            (N,) from 0 on.
        """
        model: Any = self.model
        images = model.preprocess_image([{"image": image}])
        features = model.backbone(images.tensor)
        features = [features[name] for name in model.head_in_features]
        logits, deltas = model.head(features)
        levels = [
            self._level(anchors.tensor, *pair)
            for anchors, *pair in zip(model.anchor_generator(features), logits, deltas, strict=True)
        ]
        boxes, scores, classes = (torch.cat(parts) for parts in zip(*levels, strict=True))
        keep = batched_nms(boxes, scores, classes, model.test_nms_thresh)
        keep = keep[: model.max_detections_per_image]
        clipped = Boxes(boxes[keep])
        clipped.clip((image.shape[-2], image.shape[-1]))
        there = clipped.nonempty()
        return clipped.tensor[there], scores[keep][there], classes[keep][there]

    def _level(
        self, anchors: torch.Tensor, logits: torch.Tensor, deltas: torch.Tensor
    ) -> Detections:
        """The candidates of one level; anchors (H W A, 4), logits (1, A K, H, W), deltas alike."""
        model: Any = self.model
        scores = _by_anchor(logits, model.num_classes).sigmoid()
        places = torch.nonzero(scores > model.test_score_thresh)
        scores, order = scores[places[:, 0], places[:, 1]].sort(descending=True)
        scores, order = (x[: model.test_topk_candidates] for x in (scores, order))
        places = places[order]
        index, classes = places[:, 0], places[:, 1]
        boxes = model.box2box_transform.apply_deltas(_by_anchor(deltas, 4)[index], anchors[index])
        return boxes, scores, classes


def _by_anchor(x: torch.Tensor, width: int) -> torch.Tensor:
    """(1, A width, H, W) -> (H W A, width)."""
    height, columns = x.shape[-2:]
    x = x.view(-1, width, height, columns)
    return x.permute(2, 3, 0, 1).reshape(-1, width)


class _Tuple(nn.Module):
    """A feature extractor that returns a tuple, as tracing wants it."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.extractor(image))
