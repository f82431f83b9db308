"""The classifier of the first step: a backbone, the last convolution, pooling, a linear layer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY, Backbone, build_backbone
from torch import nn
from torch.nn import functional as F

from ..space import Conv
from .blocks import ConvNorm
from .errors import ModelError
from .norm import Norm, NormFactory, resolve_norm

HEAD_MODULES = ("last_conv", "fc")  # by these a classifier's checkpoint is told from a detector's


@META_ARCH_REGISTRY.register()
class Classifier(nn.Module):
    """Image classifier in the form of a Detectron2 model (the authors' ImageNet networks).

    1x1 convolution (norm, ReLU), global average pool, dropout, linear.

    Args:
        backbone: any Detectron2 backbone.
        num_classes: labels are 0 to num_classes - 1.
        last_channels: output channels of the 1x1 convolution (published: 1024, 3.8G: 1728).
        dropout: probability, on the pooled features.
        label_smoothing: share of the target spread evenly over the classes.
        norm: norm of the 1x1 convolution.
        pixel_mean, pixel_std: by channel, subtracted and divided by. The published networks take
            BGR pixels from 0 to 255 as they are.
        in_feature: the backbone's feature map that is classified.

    Raises:
        ValueError: an in_feature that the backbone does not give, or wrong numbers.
    """

    pixel_mean: torch.Tensor
    pixel_std: torch.Tensor

    @configurable
    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        last_channels: int = 1024,
        dropout: float = 0.2,
        label_smoothing: float = 0.1,
        norm: str | NormFactory = "BN",
        pixel_mean: Sequence[float] = (0.0, 0.0, 0.0),
        pixel_std: Sequence[float] = (1.0, 1.0, 1.0),
        in_feature: str = "res5",
    ) -> None:
        super().__init__()
        shapes = backbone.output_shape()
        if in_feature not in shapes:
            raise ModelError(
                f"in_feature is {in_feature!r}, which is none of the backbone's out_features: "
                + ", ".join(shapes)
            )
        if num_classes < 1 or not 0 <= label_smoothing < 1:
            raise ModelError(
                f"num_classes is {num_classes} and label_smoothing {label_smoothing}; expected at "
                "least 1, and from 0 to below 1"
            )
        self.backbone = backbone
        self.in_feature = in_feature
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.last_conv = ConvNorm(
            Conv(shapes[in_feature].channels, last_channels), resolve_norm(norm)
        )
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(last_channels, num_classes)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)
        for name, values in (("pixel_mean", pixel_mean), ("pixel_std", pixel_std)):
            tensor = torch.tensor(tuple(values), dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, tensor, persistent=False)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """The arguments from a yacs config that `add_detnas_config` has extended."""
        backbone = build_backbone(cfg)
        return {
            "backbone": backbone,
            "num_classes": cfg.MODEL.DETNAS.NUM_CLASSES,
            "last_channels": cfg.MODEL.DETNAS.LAST_CHANNELS,
            "dropout": cfg.MODEL.DETNAS.DROPOUT,
            "label_smoothing": cfg.MODEL.DETNAS.LABEL_SMOOTHING,
            "norm": Norm(cfg.MODEL.DETNAS.NORM, cfg.MODEL.DETNAS.NORM_MOMENTUM),
            "pixel_mean": cfg.MODEL.PIXEL_MEAN,
            "pixel_std": cfg.MODEL.PIXEL_STD,
            "in_feature": list(backbone.output_shape())[-1],
        }

    @property
    def device(self) -> torch.device:
        """Where the inputs are taken to."""
        return self.fc.weight.device

    def forward(self, batched_inputs: Collection[dict[str, Any]]) -> Any:
        """Loss in training mode, class probabilities otherwise.

        Args:
            batched_inputs: a dict for each image, with "image", a tensor (C, H, W) of BGR pixels
                from 0 to 255, of one size in a batch, and in training "category_id", an int. The
                loaders' ``ImageBatch`` has the images in one tensor (N, C, H, W), ``images``.

        Returns:
            {"loss_cls": scalar} in training, else a list of {"scores": (num_classes,)}, softmax.

        Raises:
            ValueError: an empty batch, images of several sizes, or a label out of range.
        """
        x = self.backbone(self._batch(batched_inputs))[self.in_feature]
        x = self.last_conv(x).mean(dim=(2, 3))
        logits = self.fc(self.dropout(x))
        if not self.training:
            return [{"scores": scores} for scores in F.softmax(logits, dim=1)]
        labels = [int(inputs["category_id"]) for inputs in batched_inputs]
        wrong = sorted({label for label in labels if not 0 <= label < self.num_classes})
        if wrong:
            raise ModelError(
                f"category_id {wrong}: this classifier has the labels 0 to "
                f"{self.num_classes - 1}; set num_classes to the data set's number of classes"
            )
        target = torch.tensor(labels, pin_memory=logits.is_cuda)
        target = target.to(logits.device, non_blocking=True)
        loss = F.cross_entropy(logits, target, label_smoothing=self.label_smoothing)
        return {"loss_cls": loss}

    def _batch(self, batched_inputs: Collection[dict[str, Any]]) -> torch.Tensor:
        images = getattr(batched_inputs, "images", None)
        if images is None:
            # on the device: a copy that stacks them here would not be page-locked
            given = [
                inputs["image"].to(self.device, non_blocking=True) for inputs in batched_inputs
            ]
            sizes = {tuple(image.shape) for image in given}
            if len(sizes) != 1:
                raise ModelError(
                    f"a batch of {len(given)} images of the sizes {sorted(sizes)} (C, H, W); a "
                    "classifier takes at least one image, all of one size: crop or resize them "
                    "alike"
                )
            images = torch.stack(given)
        # as bytes, a quarter of the floats; what is page-locked is not waited for
        images = images.to(self.device, non_blocking=True).to(torch.float32)
        return (images - self.pixel_mean) / self.pixel_std
