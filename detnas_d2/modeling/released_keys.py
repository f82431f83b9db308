"""Which weights of the authors' networks make which of ours.

The names are those that the public code gives: ImageNet classifiers and supernet (their
ShuffleNet-Series, and Supernet-ImageNet in their DetNAS), COCO detectors and COCO supernets (their
DetNAS, which is built on maskrcnn-benchmark).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from ..space import BlockSpec, Choice, ShuffleChoice, XceptionChoice
from .backbone import StagedBackbone
from .errors import ModelError
from .network import StandAloneNetwork

COUNTER = "num_batches_tracked"
ANCHORS = "rpn.anchor_generator.cell_anchors."
RCNN_BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
RPN_BOX_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
RETINANET_BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


@dataclass(frozen=True)
class Entry:
    """One of our weights: `make(*theirs)` of the released ones."""

    ours: str
    theirs: tuple[str, ...]
    make: Callable[..., torch.Tensor] = lambda tensor: tensor


def operation(choice: Choice) -> str:
    """The authors' name of a choice.

    Raises:
        ModelError: a choice that their networks do not have.
    """
    if isinstance(choice, ShuffleChoice):
        return f"shufflenet_{choice.name}"
    if isinstance(choice, XceptionChoice):
        return "xception_3x3"
    raise ModelError(
        f"the released networks have no choice like {choice.name!r} ({type(choice).__name__}); "
        "expected a space of ShuffleChoice and XceptionChoice"
    )


def backbone_entries(backbone: StagedBackbone, theirs: str, ours: str) -> Iterator[Entry]:
    """Stem and blocks of a fixed network or a supernet, under the prefixes of both sides."""
    space = backbone.space
    yield from conv_norm(
        (f"{theirs}first_conv.conv", f"{theirs}first_conv.bn"),
        (f"{ours}stem.conv", f"{ours}stem.norm"),
        bias=True,
    )
    for position, spec in enumerate(space.blocks):
        block = f"{ours}{space.stage_names[spec.stage]}.{spec.index_in_stage}."
        if isinstance(backbone, StandAloneNetwork):
            choice = space.choices[backbone.architecture[position]]
            yield from _block(choice, spec, f"{theirs}features.{position}.", block)
            continue
        for i, choice in enumerate(space.choices):
            yield from _block(choice, spec, f"{theirs}features.{position}.{i}.", f"{block}{i}.")


def classifier_entries() -> Iterator[Entry]:
    """Last convolution and linear layer of the classifier."""
    yield from conv_norm(
        ("last_conv.conv", "last_conv.bn"), ("last_conv.conv", "last_conv.norm"), bias=True
    )
    yield from _plain("fc.fc", "fc")


def fpn_entries(state: Mapping[str, torch.Tensor], prefix: str) -> Iterator[Entry]:
    """The FPN, under their prefix; `state` is our detector's: which levels it has, norms or not.

    Their fpn_inner1 and fpn_layer1 belong to the first stage (stride 4), our fpn_lateral2.
    """
    for level in range(2, 6):
        for inner, lateral in (("fpn_inner", "fpn_lateral"), ("fpn_layer", "fpn_output")):
            theirs, ours = f"{prefix}{inner}{level - 1}", f"backbone.{lateral}{level}"
            if f"{ours}.norm.weight" in state:
                names = (f"{theirs}.0", f"{theirs}.1"), (ours, f"{ours}.norm")
                yield from conv_norm(*names, bias=True)
            elif f"{ours}.weight" in state:
                yield from _plain(theirs, ours)
    for name in ("p6", "p7"):
        if f"backbone.top_block.{name}.weight" in state:
            yield from _plain(f"{prefix}top_blocks.{name}", f"backbone.top_block.{name}")


def rcnn_entries(
    convs: int, rpn_weights: Sequence[float], box_weights: Sequence[float]
) -> Iterator[Entry]:
    """RPN and box head of Faster R-CNN with `convs` convolutions in the head.

    Background is their class 0 and our last one; their boxes have four rows for it, ours none.
    """
    theirs, ours = "rpn.head.", "proposal_generator.rpn_head."
    yield from _plain(f"{theirs}conv", f"{ours}conv")
    yield from _plain(f"{theirs}cls_logits", f"{ours}objectness_logits")
    rescale = _rescale(RPN_BOX_WEIGHTS, rpn_weights)
    yield from _plain(f"{theirs}bbox_pred", f"{ours}anchor_deltas", rescale)
    theirs, ours = "roi_heads.box.feature_extractor.", "roi_heads.box_head."
    for i in range(convs):
        yield from conv_norm(
            (f"{theirs}xconvs.{3 * i}", f"{theirs}xconvs.{3 * i + 1}"),
            (f"{ours}conv{i + 1}", f"{ours}conv{i + 1}.norm"),
            bias=True,
        )
    yield from _plain(f"{theirs}fc6", f"{ours}fc1")
    theirs, ours = "roi_heads.box.predictor.", "roi_heads.box_predictor."
    rescale = _rescale(RCNN_BOX_WEIGHTS, box_weights)
    yield from _plain(f"{theirs}cls_score", f"{ours}cls_score", lambda x: x.roll(-1, 0))
    yield from _plain(f"{theirs}bbox_pred", f"{ours}bbox_pred", lambda x: rescale(x[4:]))


def retinanet_entries(
    convs: int, order: Sequence[int], box_weights: Sequence[float]
) -> Iterator[Entry]:
    """The head of RetinaNet; `order[i]` is their number of our anchor i at a position."""

    def reorder(x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(0, (len(order), -1))[list(order)].flatten(0, 1)

    rescale = _rescale(RETINANET_BOX_WEIGHTS, box_weights)
    for i in range(0, 2 * convs, 2):
        yield from _plain(f"rpn.head.cls_tower.{i}", f"head.cls_subnet.{i}")
        yield from _plain(f"rpn.head.bbox_tower.{i}", f"head.bbox_subnet.{i}")
    yield from _plain("rpn.head.cls_logits", "head.cls_score", reorder)
    yield from _plain("rpn.head.bbox_pred", "head.bbox_pred", lambda x: rescale(reorder(x)))


def conv_norm(
    theirs: tuple[str, str], ours: tuple[str, str], *, bias: bool = False
) -> Iterator[Entry]:
    """A convolution and its norm. Ours has no bias: the norm's mean takes it off instead."""
    (conv, norm), (our_conv, our_norm) = theirs, ours
    yield Entry(f"{our_conv}.weight", (f"{conv}.weight",))
    for name in ("weight", "bias", "running_var", COUNTER):
        yield Entry(f"{our_norm}.{name}", (f"{norm}.{name}",))
    mean = f"{norm}.running_mean"
    if bias:
        yield Entry(f"{our_norm}.running_mean", (mean, f"{conv}.bias"), torch.sub)
    else:
        yield Entry(f"{our_norm}.running_mean", (mean,))


def _plain(
    theirs: str, ours: str, make: Callable[[torch.Tensor], torch.Tensor] = lambda x: x
) -> Iterator[Entry]:
    for name in ("weight", "bias"):
        yield Entry(f"{ours}.{name}", (f"{theirs}.{name}",), make)


def _rescale(
    theirs: Sequence[float], ours: Sequence[float]
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Box regression in our weights' units: decoding divides the output by the weights."""
    factors = [b / a for a, b in zip(theirs, ours, strict=True)]

    def rescale(x: torch.Tensor) -> torch.Tensor:
        rows = x.new_tensor(factors).repeat(len(x) // 4)
        return x * rows.view(-1, *[1] * (x.dim() - 1))

    return rescale


def _block(choice: Choice, spec: BlockSpec, theirs: str, ours: str) -> Iterator[Entry]:
    place = f"{spec.stage + 1}{chr(ord('a') + spec.index_in_stage)}"  # 1a, 1b, ...
    name = operation(choice)
    # the parts of the main branch, each a 1x1 convolution with or without a depthwise one before
    parts = [True, True, True] if name.startswith("xception") else [False, True]
    n = 0
    for i, depthwise in enumerate(parts):
        part = f"{place}_{name}_branch2{'abc'[i]}"
        yield from _part(f"{theirs}conv.{i}.", part, f"{ours}main.", n, depthwise)
        n += 1 + depthwise
    if spec.stride > 1:
        yield from _part(f"{theirs}proj_conv.", f"{place}_proj", f"{ours}projection.", 0, True)


def _part(theirs: str, name: str, ours: str, n: int, depthwise: bool) -> Iterator[Entry]:
    names = [(f"interstellar{name}", f"bn{name}")]
    if depthwise:
        names.insert(0, (f"interstellar{name}_s", f"interstellar{name}_s_bn"))
    for i, (conv, norm) in enumerate(names, start=n):
        yield from conv_norm(
            (f"{theirs}{conv}", f"{theirs}{norm}"), (f"{ours}{i}.conv", f"{ours}{i}.norm")
        )
