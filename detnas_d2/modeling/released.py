"""The weights that DetNAS's authors released, converted into this project's.

Taken over exactly (up to rounding): every convolution, norm and linear layer. Differences between
the two codes that the conversion makes up for:

* Convolution biases before a norm (first and last convolution, their FPN and box head) go into the
  norm's running mean: the same network in evaluation and, as batch statistics take a bias off, in
  training.
* Background is class 0 there and the last one in Detectron2, without boxes of its own.
* RetinaNet's anchors are ordered by ratio, then size there, by size, then ratio here; its boxes
  are regressed with weights (10, 10, 5, 5) there and the model's own (1, 1, 1, 1) here.

Not weights, and so not carried over:

* Anchors: theirs have their centre at stride / 2 (`anchor_generator.offset=0.5` gives that; the
  configs have 0) and sides rounded to whole pixels of the base window (up to 6.1% off).
* Boxes count pixels there (width = x2 - x1 + 1). Decoding is Detectron2's with x2 + 1 for x2, and
  their COCO results add the 1 again; clipping and NMS see it.
* ROIAlign: theirs is not aligned (`pooler_type="ROIAlign"`) and takes 2 x 2 samples a bin
  (`sampling_ratio=2`; the configs have ROIAlignV2 and 0); proposals go to the FPN levels by areas
  that count pixels.
* Proposal filtering, NMS and score thresholds are the config's.
* Optimizer, learning-rate schedule and iteration, which their COCO checkpoints hold too.

And two networks that differ from this project's, so that the model must be built like theirs:

* RetinaNet computes P6 from P5 (Detectron2's default is C5, a layer of another shape).
* The supernets (ImageNet, COCO) have the other channel shuffle, `halves_space`, by the config that
  trains them; no name tells. Their weights cannot be sliced into networks of the even/odd form.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.meta_arch.retinanet import RetinaNet
from torch import nn

from .backbone import StagedBackbone
from .blocks import ShuffleBlock
from .classifier import Classifier
from .errors import WeightsError
from .finding import find_backbone
from .halves import HalvesShuffleBlock
from .network import StandAloneNetwork
from .released_keys import (
    ANCHORS,
    COUNTER,
    Entry,
    backbone_entries,
    classifier_entries,
    fpn_entries,
    operation,
    rcnn_entries,
    retinanet_entries,
)
from .released_state import Released, State
from .weights import describe, some

_ANCHOR_TOLERANCE = 0.1  # rounding gives up to 6.1%; the next anchor is 26% away


def convert_released(released: Released, model: nn.Module) -> dict[str, Any]:
    """The checkpoint of `model` that released weights make; the model itself stays as it is.

    Every released weight is used once and every weight of the model filled, in the shape it has.
    Batch counters alone may be absent on either side. The file that results is loaded like any
    other of this project's (`load_weights`, train.init_checkpoint).

    Args:
        released: what `read_released` gave.
        model: a Classifier, a bare backbone (for weights without last_conv and fc), Faster R-CNN
            or RetinaNet as of configs/common/models; its backbone a StandAloneNetwork of the
            weights' architecture, or for a supernet a Supernet of "300m-halves" or alike.

    Returns:
        {"model": state dict, "detnas": description}, as `DetNASCheckpointer` saves it.

    Raises:
        WeightsError: the weights are not the model's; says where they differ.
    """
    found = find_backbone(model)
    kind = _model_kind(model)
    if found is None or kind != released.kind:
        raise WeightsError(
            f"the weights are {released}, the model is a {type(model).__name__}"
            f"{'' if found else ' without a DetNAS backbone'}; expected " + _EXPECTED[released.kind]
        )
    prefix, backbone = found
    _check_backbone(released, backbone)
    target = model.state_dict()
    body, fpn = released.prefixes
    entries = [*backbone_entries(backbone, body, prefix)]
    anchors: list[str] = []
    if kind == "classifier":
        entries += classifier_entries()
    elif isinstance(model, RetinaNet):
        _check_p6(model)
        order, anchors = _anchor_order(released.state, model.anchor_generator)
        convs = sum(isinstance(m, nn.Conv2d) for m in model.head.cls_subnet)
        entries += fpn_entries(target, fpn)
        entries += retinanet_entries(convs, order, model.box2box_transform.weights)
    elif isinstance(model, GeneralizedRCNN):
        rpn, heads = model.proposal_generator, model.roi_heads
        order, anchors = _anchor_order(released.state, rpn.anchor_generator)
        if order != sorted(order):
            raise WeightsError("the model's RPN has several anchor sizes a level; expected one")
        entries += fpn_entries(target, fpn)
        box_weights = heads.box_predictor.box2box_transform.weights
        convs = len(heads.box_head.conv_norm_relus)
        entries += rcnn_entries(convs, rpn.box2box_transform.weights, box_weights)
    _check_keys(entries, anchors, released.state, target)
    state = _fill(entries, released.state, target)
    return {"model": state, "detnas": describe(model)}


_EXPECTED = {
    "classifier": "Classifier (configs/common/models/classifier.py)",
    "backbone": "StandAloneNetwork or Supernet without heads",
    "fpn": "Faster R-CNN (configs/common/models/fpn.py)",
    "retinanet": "RetinaNet (configs/common/models/retinanet.py)",
}


def _model_kind(model: nn.Module) -> str | None:
    kinds: tuple[tuple[type[nn.Module], str], ...] = (
        (Classifier, "classifier"),
        (StagedBackbone, "backbone"),
        (GeneralizedRCNN, "fpn"),
        (RetinaNet, "retinanet"),
    )
    return next((kind for cls, kind in kinds if isinstance(model, cls)), None)


def _check_backbone(released: Released, backbone: StagedBackbone) -> None:
    """The same space, architecture and shuffle."""
    released.check_space(backbone.space)
    fixed = isinstance(backbone, StandAloneNetwork)
    if fixed == released.supernet:
        raise WeightsError(
            f"the weights are {released}, the model has a "
            f"{'single network' if fixed else 'supernet'}; expected both alike: give the model a "
            f"{'Supernet' if fixed else 'StandAloneNetwork'} backbone, or take other weights"
        )
    if isinstance(backbone, StandAloneNetwork):
        theirs = released.architecture(backbone.space)
        if theirs != backbone.architecture:
            raise WeightsError(
                f"the weights are of architecture {','.join(map(str, theirs))}, the model has "
                f"{','.join(map(str, backbone.architecture))}; give the model the weights' one"
            )
    else:
        names = tuple(operation(choice) for choice in backbone.space.choices)
        if names != released.operations:
            raise WeightsError(
                f"the weights' choices are {', '.join(released.operations)}, the space "
                f"{backbone.space.name!r} has {', '.join(names)}; expected the same in this order"
            )
    cls = ShuffleBlock if fixed else HalvesShuffleBlock
    block = f"{cls.__module__}.{cls.__qualname__}"
    if any(choice.block != block for choice in backbone.space.choices):
        raise WeightsError(
            "the released supernets shuffle channels by halves, the released single networks in "
            f"the even/odd form; expected choices of {cls.__name__}, the space "
            f"{backbone.space.name!r} has others"
            + ("" if fixed else f": take the space '{backbone.space.name}-halves'")
        )


def _check_p6(model: Any) -> None:
    top = model.backbone.top_block
    if top.in_feature != "p5":
        raise WeightsError(
            f"the released RetinaNet computes P6 from P5, the model from {top.in_feature}; in its "
            "config set model.backbone.top_block.in_feature=p5"
        )


def _anchor_order(state: State, generator: Any) -> tuple[list[int], list[str]]:
    """For each of our anchors at a position the number of theirs, and the keys that say so.

    Raises:
        WeightsError: the weights' anchors have other sides than the model's.
    """
    ours = [anchors.detach().cpu().double() for anchors in generator.cell_anchors]
    keys = [f"{ANCHORS}{level}" for level in range(len(ours))]
    orders = []
    for key, boxes in zip(keys, ours, strict=True):
        theirs = state.get(key)
        if theirs is None or theirs.shape != boxes.shape:
            raise WeightsError(
                f"{key}: expected {len(boxes)} anchors of the model, found "
                f"{'none' if theirs is None else tuple(theirs.shape)}"
            )
        theirs = theirs.cpu().double()
        mine = (boxes[:, 2:] - boxes[:, :2]).log()
        sides = (theirs[:, 2:] - theirs[:, :2] + 1).log()
        off, nearest = (mine[:, None] - sides[None]).abs().amax(2).min(1)
        if len(set(nearest.tolist())) != len(boxes) or bool((off > _ANCHOR_TOLERANCE).any()):
            raise WeightsError(
                f"{key}: the weights' anchors have the sides (w, h) {sides.exp().int().tolist()}, "
                f"the model's {mine.exp().int().tolist()}; set anchor_generator.sizes and ratios "
                "to the weights'"
            )
        orders.append(nearest.tolist())
    if any(order != orders[0] for order in orders):
        raise WeightsError("the anchors' order differs between levels; expected one order")
    return orders[0], keys


def _check_keys(entries: list[Entry], others: list[str], source: State, target: State) -> None:
    """Raise unless every key of both sides is used exactly once (batch counters may be absent)."""
    used = Counter(key for entry in entries for key in entry.theirs) + Counter(others)
    filled = Counter(entry.ours for entry in entries)
    twice = [key for counts in (used, filled) for key, n in counts.items() if n > 1]
    assert not twice, twice  # a fault of the tables, not of a file
    lines = [
        f"  {len(keys)} {label}: {some(keys)}"
        for label, have, want in (
            ("missing in the weights", source, used),
            ("of no use in the model", used, source),
            ("missing in the model", target, filled),
            ("not filled in the model", filled, target),
        )
        if (keys := [k for k in want if k not in have and not k.endswith(COUNTER)])
    ]
    if lines:
        raise WeightsError("\n".join(["the weights are not the model's", *lines]))


def _fill(entries: list[Entry], source: State, target: State) -> dict[str, torch.Tensor]:
    state = {key: torch.zeros_like(tensor) for key, tensor in target.items() if COUNTER in key}
    wrong = []
    for entry in entries:
        if entry.ours.endswith(COUNTER) and not (
            entry.ours in target and entry.theirs[0] in source
        ):
            continue
        theirs, wanted = [source[key] for key in entry.theirs], target[entry.ours]
        made = None
        if all(tensor.shape == theirs[0].shape for tensor in theirs):
            with suppress(RuntimeError):  # rows that cannot be reordered
                made = entry.make(*theirs)
        if made is None or made.shape != wanted.shape:
            shapes = " and ".join(str(tuple(tensor.shape)) for tensor in theirs)
            wrong.append(
                f"  {entry.theirs[0]} is {shapes}, which does not make {entry.ours} "
                f"{tuple(wanted.shape)}"
            )
            continue
        state[entry.ours] = made.detach().to("cpu", wanted.dtype, copy=True).contiguous()
    if wrong:
        more = [f"  and {len(wrong) - 8} more"] if len(wrong) > 8 else []
        raise WeightsError("\n".join(["shapes differ", *wrong[:8], *more]))
    return {key: state[key] for key in target}
