"""FPN on a backbone whose deeper stages keep their stride, as DetNet's do."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from detectron2.layers import Conv2d, get_norm
from detectron2.modeling import Backbone
from fvcore.nn.weight_init import c2_xavier_fill
from torch.nn import functional as F

from .detnet import RES2_TO_RES6
from .errors import ModelError
from .norm import NormFactory


class DetNetFPN(Backbone):
    """FPN over stages of which some keep their stride, as DetNet's do.

    Detectron2's `FPN` with one difference: where two stages have one stride, the top-down path
    adds them as they are, without upsampling. Detectron2's wants strides that double and names
    levels by them; here res<n> gives p<n>, for DetNet p2 to p6 at strides 4, 8, 16, 16, 16. There
    is no top block: p6, which Detectron2's makes of p5, is a stage's here.

    Modules are named as in Detectron2's: bottom_up, fpn_lateral<n>, fpn_output<n>.

    A Faster R-CNN takes p2 to p6 in the RPN (`AnchorGenerator` with strides 4, 8, 16, 16, 16) and
    p2 to p5 in the box head, as FPN does, with a `PyramidROIPooler`.

    Args:
        bottom_up: the backbone; its stages are named res<n>.
        in_features: the stages that become levels, from the first to the last.
        out_channels: channels of every level.
        norm: "" (convolutions with bias, no norm), a name or a callable such as `Norm`.

    Raises:
        ValueError: features that the backbone does not give, or strides that fall or do not
            divide the next.
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
        if not in_features or not set(in_features) <= set(shapes):
            raise ModelError(
                f"in_features is {in_features!r}; expected one or more of the backbone's "
                f"out_features: {', '.join(shapes)}"
            )
        strides = [shapes[name].stride for name in in_features]
        if any(after % before for before, after in zip(strides, strides[1:], strict=False)):
            raise ModelError(
                f"in_features {', '.join(in_features)} have the strides {strides}; expected each "
                "to divide the next: list the stages from the first to the last"
            )
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
