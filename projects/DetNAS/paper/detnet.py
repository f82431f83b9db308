"""DetNet-59, a detector's backbone that stays at stride 16, with its FPN and its pooler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from detectron2.layers import Conv2d, get_norm
from detectron2.modeling import Backbone
from detectron2.modeling.backbone.resnet import BasicStem, BottleneckBlock, ResNet
from detectron2.modeling.poolers import ROIPooler
from fvcore.nn.weight_init import c2_msra_fill, c2_xavier_fill
from torch.nn import functional as F

from detnas_d2.modeling.errors import ModelError
from detnas_d2.modeling.norm import NormFactory, resolve_norm

RES2_TO_RES6 = ("res2", "res3", "res4", "res5", "res6")


class DetNet(ResNet):
    """DetNet-59 (Li et al., DetNet, ECCV 2018, figure 2) as a Detectron2 backbone.

    The stem and res2 to res4 are those of ResNet-50 with the stride in the first 1x1 convolution.
    res5 and res6, three blocks each, stay at stride 16 and 1024 channels: their bottlenecks of 256
    channels have a 3x3 convolution of dilation 2, and the first of a stage has a 1x1 convolution
    as its shortcut (type B), the others the identity (type A). By name, features are at strides
    4, 8, 16, 16, 16 and have 256, 512, 1024, 1024, 1024 channels.

    That reading gives the published 4.8G multiply-adds: 4.846G at 224x224, with a linear layer to
    1000 classes (ResNet-50 by the same rule 3.858G, published 3.8G). With outputs of 256 channels
    in res5 and res6 it would be 4.08G, with the stride in the 3x3 convolutions 5.00G.

    Args:
        norm: norm of all layers, a name or a callable such as `Norm`.
        out_features: the stages whose output `forward` returns; later ones are not built.

    Raises:
        ValueError: an unknown norm or output feature.
    """

    def __init__(
        self, *, norm: str | NormFactory = "BN", out_features: Sequence[str] = RES2_TO_RES6
    ) -> None:
        wanted = list(out_features)
        if not wanted or len(set(wanted)) != len(wanted) or not set(wanted) <= set(RES2_TO_RES6):
            raise ModelError(
                f"out_features is {out_features!r}; expected one or more of "
                f"{', '.join(RES2_TO_RES6)}, each at most once, in a list"
            )
        norm = resolve_norm(norm)
        stages = ResNet.make_default_stages(50, norm=norm, stride_in_1x1=True)[:3]
        blocks = (_ProjectedBottleneck, BottleneckBlock, BottleneckBlock)
        dilated: dict[str, Any] = {"bottleneck_channels": 256, "dilation": 2, "norm": norm}
        stages += [[block(1024, 1024, **dilated) for block in blocks] for _ in ("res5", "res6")]
        last = max(RES2_TO_RES6.index(name) for name in wanted)
        # ResNet's own out_features knows no res6
        super().__init__(BasicStem(norm=norm), stages[: last + 1])
        self._out_features = [name for name in RES2_TO_RES6 if name in wanted]


class DetNetFPN(Backbone):
    """Detectron2's `FPN`, by its names, over stages some of which keep their stride, as DetNet's.

    Where two stages have one stride, the top-down path adds them without upsampling. Detectron2's
    wants strides that double and names levels by them; here res<n> gives p<n>, for DetNet p2 to p6
    at strides 4, 8, 16, 16, 16, without a top block. The box head takes p2 to p5, with a
    `PyramidROIPooler`.

    Args:
        in_features: the stages res<n> that become levels; each stride divides the next.
        norm: "" (convolutions with bias, no norm), a name or a callable such as `Norm`.
    """

    def __init__(
        self,
        bottom_up: Backbone,
        in_features: Sequence[str] = RES2_TO_RES6,
        out_channels: int = 256,
        norm: str | NormFactory = "",
    ) -> None:
        super().__init__()
        shapes = bottom_up.output_shape()
        strides = [shapes[name].stride for name in in_features]
        self.bottom_up = bottom_up
        self.in_features = tuple(in_features)
        self._size_divisibility = strides[-1]
        self._out_features = [name.replace("res", "p") for name in in_features]
        self._out_feature_strides = dict(zip(self._out_features, strides, strict=True))
        self._out_feature_channels = dict.fromkeys(self._out_features, out_channels)
        for name in in_features:
            stage = name.removeprefix("res")
            for part, channels, size in (
                ("lateral", shapes[name].channels, 1),
                ("output", out_channels, 3),
            ):
                conv = Conv2d(
                    channels,
                    out_channels,
                    size,
                    padding=size // 2,
                    bias=norm == "",
                    norm=get_norm(norm, out_channels),
                )
                c2_xavier_fill(conv)
                self.add_module(f"fpn_{part}{stage}", conv)

    @property
    def size_divisibility(self) -> int:
        """The last level's stride: height and width are padded to a multiple of it."""
        return self._size_divisibility

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """(N, C, H, W), H and W multiples of `size_divisibility`, -> {"p<n>": level}."""
        features = self.bottom_up(x)
        outputs = []
        above = None
        for name in reversed(self.in_features):
            stage = name.removeprefix("res")
            lateral = getattr(self, f"fpn_lateral{stage}")(features[name])
            if above is not None:
                if above.shape != lateral.shape:
                    above = F.interpolate(above, size=lateral.shape[-2:], mode="nearest")
                lateral = lateral + above
            outputs.append(getattr(self, f"fpn_output{stage}")(lateral))
            above = lateral
        return dict(zip(self._out_features, reversed(outputs), strict=True))


class PyramidROIPooler(ROIPooler):
    """Detectron2's `ROIPooler` for a pyramid whose levels need not halve, such as `DetNetFPN`'s.

    Detectron2's takes a level's number from its scale, and so refuses 1/16 twice. Here levels are
    numbered in their order, from that of the first scale (1/4: level 2), boxes go to levels by
    size as ever (FPN, equation 1), and each level is sampled at its own scale: `scales` is
    (1/4, 1/8, 1/16, 1/16) for p2 to p5.
    """

    def __init__(self, output_size: Any, scales: Sequence[float], *args: Any, **kwargs: Any):
        halving = [scales[0] / 2**i for i in range(len(scales))]
        super().__init__(output_size, halving, *args, **kwargs)
        for pooler, scale in zip(self.level_poolers, scales, strict=True):
            pooler.spatial_scale = scale


class _ProjectedBottleneck(BottleneckBlock):
    """A bottleneck whose shortcut is a 1x1 convolution although the channels stay (type B)."""

    def __init__(self, in_channels: int, out_channels: int, *, norm: NormFactory, **kwargs: Any):
        super().__init__(in_channels, out_channels, norm=norm, **kwargs)
        self.shortcut = Conv2d(
            in_channels, out_channels, 1, bias=False, norm=get_norm(norm, out_channels)
        )
        c2_msra_fill(self.shortcut)
