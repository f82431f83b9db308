"""Networks as functions of one tensor, which tracing can follow at any image size."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.export import TracingAdapter
from detectron2.layers import batched_nms
from detectron2.modeling import GeneralizedRCNN, RetinaNet
from detectron2.modeling.meta_arch.dense_detector import permute_to_N_HWA_K
from detectron2.structures import Boxes
from torch import nn
from torch.overrides import TorchFunctionMode

from .errors import ExportError
from .features import backbone_of

Detections = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
DETECTIONS = ("boxes", "scores", "classes")


@dataclass(frozen=True)
class Graph:
    """A network to be traced, and the names and dynamic dimensions of what goes in and out.

    Attributes:
        network: the extractor, or the detector.
        outputs: names, in the order of the outputs.
        axes: name of an input or output -> its dynamic dimensions.
        ties_in_order: the exported file takes the first of anchors with equal scores, as ONNX does.
    """

    network: nn.Module
    outputs: tuple[str, ...]
    axes: dict[str, dict[int, str]]
    ties_in_order: bool

    @property
    def is_detector(self) -> bool:
        return self.outputs == DETECTIONS

    def run(self, network: nn.Module, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs of `network`, which is this graph's."""
        return detect(network, image) if self.is_detector else tuple(network(image))

    @torch.no_grad()
    def expected(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the network itself gives; see `TiesInOrder` for what ONNX decides otherwise."""
        with TiesInOrder() if self.ties_in_order else nullcontext():
            return self.run(self.network, image)

    def traceable(self, example: torch.Tensor) -> nn.Module:
        """The module to trace."""
        if isinstance(self.network, RetinaNet):
            return RetinaNetInference(self.network).eval()
        return TracingAdapter(self.network, (example,), self.run).eval()


def graph_of(model: nn.Module, part: str, ties_in_order: bool = False) -> Graph:
    """The graph of a model's "backbone" or of the whole "detector".

    Raises:
        ExportError: a model without such a part.
    """
    if part == "backbone":
        extractor = backbone_of(model)
        names = tuple(extractor.feature_info.module_name())
        axes = {"image": {0: "batch", 2: "height", 3: "width"}}
        axes |= {name: {0: "batch", 2: f"{name}_height", 3: f"{name}_width"} for name in names}
        return Graph(extractor, names, axes, ties_in_order)
    if not isinstance(model, (RetinaNet, GeneralizedRCNN)):
        raise ExportError(
            f"The model is a {type(model).__name__}; detectors that can be exported are RetinaNet "
            "and those of the R-CNN family (GeneralizedRCNN). Of others: --part backbone."
        )
    axes = {"image": {1: "height", 2: "width"}, **{name: {0: "detections"} for name in DETECTIONS}}
    return Graph(model, DETECTIONS, axes, ties_in_order)


def detect(model: nn.Module, image: torch.Tensor) -> Detections:
    """The detections of a model of Detectron2 in one image (3, H, W)."""
    found = model([{"image": image}])[0]["instances"]
    return found.pred_boxes.tensor, found.scores, found.pred_classes


def score_floor(model: Any) -> tuple[float, int]:
    """The score that a detection has to exceed, and how many an image has at most."""
    if isinstance(model, GeneralizedRCNN):
        predictor: Any = model.roi_heads.box_predictor
        return float(predictor.test_score_thresh), int(predictor.test_topk_per_image)
    return float(model.test_score_thresh), int(model.max_detections_per_image)


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
        scores = permute_to_N_HWA_K(logits, model.num_classes)[0].sigmoid()
        places = torch.nonzero(scores > model.test_score_thresh)
        scores, order = scores[places[:, 0], places[:, 1]].sort(descending=True)
        scores, order = (x[: model.test_topk_candidates] for x in (scores, order))
        index, classes = places[order].unbind(dim=1)
        deltas = permute_to_N_HWA_K(deltas, 4)[0][index]
        return model.box2box_transform.apply_deltas(deltas, anchors[index]), scores, classes


class TiesInOrder(TorchFunctionMode):
    """Within this context, of equal values ``sort`` and ``topk`` take the one of least index first.

    So does ONNX's TopK; PyTorch leaves that order open where ``stable=True`` is not said. Where a
    layer's ReLU gives zero, as in an even background, the scores of many anchors are the bias,
    equal bit by bit; which of two that overlap non-maximum suppression keeps is then a matter
    of that order.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (torch.Tensor.sort, torch.sort):
            return _sort(*args, **kwargs)
        if func in (torch.Tensor.topk, torch.topk):
            return _topk(*args, **kwargs)
        return func(*args, **kwargs)


def _sort(input: torch.Tensor, dim: int = -1, descending: bool = False) -> Sequence[torch.Tensor]:
    return input.sort(dim=dim, descending=descending, stable=True)


def _topk(
    input: torch.Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> Sequence[torch.Tensor]:
    return [x.narrow(dim, 0, k) for x in _sort(input, dim, largest)]
