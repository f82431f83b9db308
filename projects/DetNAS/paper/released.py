"""The weights that DetNAS's authors released, converted into this project's.

Taken over exactly (up to rounding): every convolution, norm and linear layer, by the names that the
public code gives: ImageNet classifiers and supernet (their ShuffleNet-Series, and
Supernet-ImageNet in their DetNAS), COCO detectors and COCO supernets (their DetNAS, which is built
on maskrcnn-benchmark). Differences between the two codes that the conversion makes up for:

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

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.meta_arch.retinanet import RetinaNet
from torch import nn

from detnas_d2.modeling import (
    Classifier,
    ShuffleBlock,
    StagedBackbone,
    StandAloneNetwork,
    WeightsError,
    describe,
    find_backbone,
    load_weights,
)
from detnas_d2.space import Architecture, Choice, SearchSpace, ShuffleChoice, XceptionChoice

from .halves import HalvesShuffleBlock

_ANCHOR_TOLERANCE = 0.1  # rounding gives up to 6.1%; the next anchor is 26% away
_ANCHORS = "rpn.anchor_generator.cell_anchors."
_BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of their box head and RetinaNet
_RPN_BOX_WEIGHTS = (1.0, 1.0, 1.0, 1.0)

# A layer of a block: its place and, in the main branch, its operation are in its name. `_s` is a
# depthwise convolution, `bn` and `_s_bn` are norms.
_LAYER = re.compile(
    r"features\.(?P<block>\d+)\.(?:(?P<choice>\d+)\.)?(?:conv\.(?P<part>\d)|proj_conv)"
    r"\.(?P<kind>interstellar|bn)\d[a-z]_(?:proj|(?P<operation>\w+_\dx\d)_branch2[abc])"
    r"(?P<depthwise>_s)?(?P<norm>_bn)?\.(?P<leaf>\w+)"
)
_STEM = {"first_conv.conv.": "stem.conv.", "first_conv.bn.": "stem.norm."}
_RPN, _BOX = "proposal_generator.rpn_head.", "roi_heads.box_"
_EXTRACTOR, _PREDICTOR = "roi_heads.box.feature_extractor.", "roi_heads.box.predictor."
# Beginnings of names, theirs and ours. Their fpn_inner1 and fpn_layer1 belong to the first stage
# (stride 4), our fpn_lateral2; where the FPN has norms, 0 is the convolution and 1 its norm.
_FPN = {
    f"{theirs}{level}{inside}": f"backbone.{ours}{level + 1}{layer}"
    for theirs, ours in (("fpn_inner", "fpn_lateral"), ("fpn_layer", "fpn_output"))
    for level in range(1, 5)
    for inside, layer in ((".0.", "."), (".1.", ".norm."), (".", "."))
}
_HEADS: dict[str, dict[str, str]] = {
    "classifier": {
        "last_conv.conv.": "last_conv.conv.",
        "last_conv.bn.": "last_conv.norm.",
        "fc.fc.": "fc.",
    },
    "backbone": {},
    "fpn": {
        "rpn.head.conv.": f"{_RPN}conv.",
        "rpn.head.cls_logits.": f"{_RPN}objectness_logits.",
        "rpn.head.bbox_pred.": f"{_RPN}anchor_deltas.",
        **{f"{_EXTRACTOR}xconvs.{3 * i}.": f"{_BOX}head.conv{i + 1}." for i in range(4)},
        **{f"{_EXTRACTOR}xconvs.{3 * i + 1}.": f"{_BOX}head.conv{i + 1}.norm." for i in range(4)},
        f"{_EXTRACTOR}fc6.": f"{_BOX}head.fc1.",
        f"{_PREDICTOR}cls_score.": f"{_BOX}predictor.cls_score.",
        f"{_PREDICTOR}bbox_pred.": f"{_BOX}predictor.bbox_pred.",
    },
    "retinanet": {
        "top_blocks.": "backbone.top_block.",
        "rpn.head.cls_tower.": "head.cls_subnet.",
        "rpn.head.bbox_tower.": "head.bbox_subnet.",
        "rpn.head.cls_logits.": "head.cls_score.",
        "rpn.head.bbox_pred.": "head.bbox_pred.",
    },
}
_MODELS: dict[str, tuple[type[nn.Module], str]] = {
    "classifier": (Classifier, "Classifier (configs/common/models/classifier.py)"),
    "backbone": (StagedBackbone, "StandAloneNetwork or Supernet without heads"),
    "fpn": (GeneralizedRCNN, "Faster R-CNN (configs/common/models/fpn.py)"),
    "retinanet": (RetinaNet, "RetinaNet (configs/common/models/retinanet.py)"),
}


@dataclass(frozen=True)
class Released:
    """Released weights, and what their names say of the network.

    Attributes:
        state: names without "module.", and without what a detector's backbone and FPN stand
            below -> tensors.
        kind: "classifier", "backbone" (without last_conv and fc), "fpn" or "retinanet".
        blocks: (block, choice) -> operation, as in `shufflenet_7x7`; the choice is None but in
            supernets.
    """

    state: Mapping[str, torch.Tensor]
    kind: str
    blocks: Mapping[tuple[int, int | None], str]

    @property
    def supernet(self) -> bool:
        return (0, None) not in self.blocks

    def __str__(self) -> str:
        return f"a {'supernet' if self.supernet else 'single network'}'s {self.kind}"

    def architecture(self, space: SearchSpace) -> Architecture:
        """The architecture of a single network, as one of the space.

        Raises:
            WeightsError: a network that is none of the space.
        """
        names = [_operation(choice) for choice in space.choices]
        blocks = [self.blocks[block, None] for block in range(len(self.blocks))]
        stem = len(self.state["first_conv.conv.weight"])
        lacking = sorted(set(blocks) - set(names))
        if lacking or (len(blocks), stem) != (space.num_blocks, space.stem_channels):
            raise WeightsError(
                f"the weights have {len(blocks)} blocks and {stem} stem channels, the model's "
                f"space {space.name!r} has {space.num_blocks} and {space.stem_channels}"
                + (f", and no {', '.join(lacking)}" if lacking else "")
                + "; take the weights' space"
            )
        return Architecture(space, tuple(names.index(name) for name in blocks))


def _operation(choice: Choice) -> str:
    """The authors' name of a choice."""
    if isinstance(choice, ShuffleChoice):
        return f"shufflenet_{choice.name}"
    return "xception_3x3" if isinstance(choice, XceptionChoice) else f"none ({choice.name})"


def read_released(checkpoint: Any) -> Released:
    """Recognise a released checkpoint, as torch.load gave it.

    Args:
        checkpoint: a state dict, or a dict with one under "state_dict" (ImageNet) or "model"
            (COCO); all names may begin with "module.". What else is there (optimizer, scheduler,
            iteration) is no weight.

    Raises:
        WeightsError: it is none of the released forms.
    """
    state = checkpoint
    for name in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(name), Mapping):
            state = state[name]
    if not (
        isinstance(state, Mapping)
        and all(isinstance(k, str) and torch.is_tensor(v) for k, v in state.items())
    ):
        raise WeightsError(
            f"the file holds a {type(state).__name__}; expected a state dict, or a dict with one "
            'under "state_dict" or "model"'
        )
    # A detector's backbone is a Sequential of body and FPN there, but a supernet's has the FPN
    # beside it, since the path is the body's argument alone.
    beginning = re.compile(r"(module\.)?(backbone\.body\.|backbone\.fpn\.|backbone\.|fpn\.)?")
    names = {key: key[beginning.match(key).end() :] for key in state}  # type: ignore[union-attr]
    blocks: dict[tuple[int, int | None], str] = {}
    for match in filter(None, map(_LAYER.fullmatch, names.values())):
        if match["operation"]:
            place = int(match["block"]), None if match["choice"] is None else int(match["choice"])
            if blocks.setdefault(place, match["operation"]) != match["operation"]:
                raise WeightsError(f"block {place[0]} is of several operations; expected one")
    choices = {choice for _, choice in blocks}
    numbers = range(len({block for block, _ in blocks}))
    whole = bool(blocks) and set(blocks) == {(n, choice) for n in numbers for choice in choices}
    if (
        not whole
        or "first_conv.conv.weight" not in names.values()
        or len(state) != len(set(names.values()))
    ):
        raise WeightsError(
            "not the weights of a released DetNAS network: expected first_conv.conv.weight and "
            "blocks features.<n>.conv.0.interstellar<place>_<operation>_branch2a.weight with n "
            "from 0 (features.<n>.<choice>... in supernets), below backbone.body. in detectors and "
            f"backbone. in detectors' supernets; the names are {', '.join(list(state)[:8])}, ..."
        )
    kinds = {"roi_heads.box.": "fpn", "rpn.head.cls_tower.": "retinanet", "fc.": "classifier"}
    found = (kinds[start] for start in kinds if any(n.startswith(start) for n in names.values()))
    return Released({names[k]: v for k, v in state.items()}, next(found, "backbone"), blocks)


def convert_released(released: Released, model: nn.Module) -> dict[str, Any]:
    """Fill a model with released weights: every one is used, and every weight of the model filled.

    Batch counters alone may be absent on either side.

    Args:
        released: what `read_released` gave.
        model: a Classifier, a bare backbone (for weights without last_conv and fc), Faster R-CNN
            or RetinaNet as of configs/common/models; its backbone a StandAloneNetwork of the
            weights' architecture, or for a supernet a Supernet of a `halves_space`.

    Returns:
        {"model": state dict, "detnas": description}, as `DetNASCheckpointer` saves it, for
        `load_weights` and train.init_checkpoint.

    Raises:
        WeightsError: the weights are not the model's; says where they differ.
    """
    found = find_backbone(model)
    kind, expected = _MODELS[released.kind]
    if found is None or not isinstance(model, kind):
        raise WeightsError(
            f"the weights are {released}, the model is a {type(model).__name__}"
            f"{'' if found else ' without a DetNAS backbone'}; expected {expected}"
        )
    prefix, backbone = found
    _check_backbone(released, backbone)
    state = _renamed(released, backbone.space, prefix)
    if released.kind in ("fpn", "retinanet"):
        _convert_heads(state, released, model)
    description = describe(model)
    load_weights(model, {"model": state, "detnas": description})
    weights = {key: tensor.detach().cpu().clone() for key, tensor in model.state_dict().items()}
    return {"model": weights, "detnas": description}


def _check_backbone(released: Released, backbone: StagedBackbone) -> None:
    """The same space, architecture and shuffle."""
    space, fixed = backbone.space, isinstance(backbone, StandAloneNetwork)
    if fixed == released.supernet:
        raise WeightsError(
            f"the weights are {released}, the model has a "
            f"{'single network' if fixed else 'supernet'}; expected both alike: give the model a "
            f"{'Supernet' if fixed else 'StandAloneNetwork'} backbone, or take other weights"
        )
    if isinstance(backbone, StandAloneNetwork):
        theirs = released.architecture(space)
        if theirs.choices != backbone.architecture.choices:
            raise WeightsError(
                f"the weights are of architecture {theirs}, the model has {backbone.architecture}; "
                "give the model the weights' one"
            )
    else:
        names = dict(enumerate(map(_operation, space.choices)))
        blocks = {(n, c): names[c] for n in range(space.num_blocks) for c in names}
        if released.blocks != blocks:
            raise WeightsError(
                f"the weights have other blocks or choices than the space {space.name!r} with its "
                f"{space.num_blocks} blocks of {', '.join(names.values())}; take their space"
            )
    block = ShuffleBlock if fixed else HalvesShuffleBlock
    if any(choice.block != f"{block.__module__}.{block.__name__}" for choice in space.choices):
        raise WeightsError(
            "the released supernets shuffle channels by halves, the released single networks in "
            f"the even/odd form; expected choices of {block.__name__}, the space {space.name!r} "
            f"has others{'' if fixed else ': take halves_space of it'}"
        )


def _renamed(released: Released, space: SearchSpace, prefix: str) -> dict[str, torch.Tensor]:
    """The weights by our names, biases before norms in the norms' means; less the anchors."""
    starts = {theirs: prefix + ours for theirs, ours in _STEM.items()} | _HEADS[released.kind]
    if released.kind in ("fpn", "retinanet"):
        starts |= _FPN
    state, wrong, biased = {}, [], []
    for name, tensor in released.state.items():
        if match := _LAYER.fullmatch(name):
            ours = prefix + _block_name(match, space)
        else:
            start = next((start for start in starts if name.startswith(start)), "")
            ours = starts.get(start, "") + name[len(start) :]
            if ours.endswith(".norm.running_mean"):
                biased.append(ours.removesuffix(".norm.running_mean"))
            if not start:
                wrong += [] if name.startswith(_ANCHORS) else [name]
                continue
        state[ours] = tensor
    if wrong:
        raise WeightsError(f"of no use in the model: {', '.join(wrong[:8])}")
    for layer in biased:
        conv = f"{layer}.conv" if f"{layer}.conv.weight" in state else layer
        bias, mean = state.pop(f"{conv}.bias", None), state[f"{layer}.norm.running_mean"]
        if bias is None or bias.shape != mean.shape:
            raise WeightsError(
                f"the bias of the convolution for {conv} is missing, or not its size"
            )
        state[f"{layer}.norm.running_mean"] = mean - bias
    return state


def _block_name(match: re.Match[str], space: SearchSpace) -> str:
    block = space.blocks[int(match["block"])]
    choice = "" if match["choice"] is None else f"{match['choice']}."
    layer = "projection."
    number = 0 if match["depthwise"] else 1
    if match["part"] is not None:
        layer = "main."
        # ShuffleNetV2's first part has no depthwise convolution, Xception's has one
        number += 2 * int(match["part"]) - (not match["operation"].startswith("xception"))
    kind = "norm" if match["kind"] == "bn" or match["norm"] else "conv"
    return (
        f"{space.stage_names[block.stage]}.{block.index_in_stage}.{choice}{layer}{number}.{kind}."
        f"{match['leaf']}"
    )


def _convert_heads(state: dict[str, torch.Tensor], released: Released, model: Any) -> None:
    """Their classes, anchors and units of boxes in our order and units, in place."""
    if released.kind == "retinanet":
        order = _anchor_order(released.state, model.anchor_generator)
        scores, boxes = "head.cls_score", "head.bbox_pred"
        units = _units(_BOX_WEIGHTS, model.box2box_transform.weights)
    else:
        order = _anchor_order(released.state, model.proposal_generator.anchor_generator)
        scores, boxes = f"{_RPN}objectness_logits", f"{_RPN}anchor_deltas"
        units = _units(_RPN_BOX_WEIGHTS, model.proposal_generator.box2box_transform.weights)
    try:
        for leaf in ("weight", "bias"):
            for name in (scores, boxes):
                rows = state[f"{name}.{leaf}"].unflatten(0, (len(order), -1))
                state[f"{name}.{leaf}"] = rows[list(order)].flatten(0, 1)
            _rescale(state, f"{boxes}.{leaf}", units)
            if released.kind == "fpn":
                scores_of, boxes_of = f"{_BOX}predictor.cls_score", f"{_BOX}predictor.bbox_pred"
                # background is their first class and our last, without boxes
                state[f"{scores_of}.{leaf}"] = state[f"{scores_of}.{leaf}"].roll(-1, 0)
                state[f"{boxes_of}.{leaf}"] = state[f"{boxes_of}.{leaf}"][4:]
                weights = model.roi_heads.box_predictor.box2box_transform.weights
                _rescale(state, f"{boxes_of}.{leaf}", _units(_BOX_WEIGHTS, weights))
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"the heads are not the model's: {error}") from error


def _units(theirs: Sequence[float], ours: Sequence[float]) -> list[float]:
    """Decoding divides the output by the weights."""
    return [b / a for a, b in zip(theirs, ours, strict=True)]


def _rescale(state: dict[str, torch.Tensor], key: str, units: list[float]) -> None:
    rows = state[key]
    factors = rows.new_tensor(units).repeat(len(rows) // 4)
    state[key] = rows * factors.view(-1, *[1] * (rows.dim() - 1))


def _anchor_order(state: Mapping[str, torch.Tensor], generator: Any) -> list[int]:
    """For each of our anchors at a position the number of theirs.

    Raises:
        WeightsError: the weights' anchors have other sides than the model's.
    """
    orders = []
    given = sum(name.startswith(_ANCHORS) for name in state)
    for level, anchors in enumerate(generator.cell_anchors):
        theirs = state.get(f"{_ANCHORS}{level}")
        mine = (anchors[:, 2:] - anchors[:, :2]).detach().cpu().double().log()
        off = torch.full((len(mine), 1), torch.inf)
        if theirs is not None and theirs.shape == anchors.shape:
            sides = (theirs[:, 2:] - theirs[:, :2] + 1).cpu().double().log()
            off = (mine[:, None] - sides[None]).abs().amax(2)
        nearest = off.argmin(1).tolist()
        if bool((off.amin(1) > _ANCHOR_TOLERANCE).any()) or len(set(nearest)) != len(mine):
            raise WeightsError(
                f"level {level} of the weights' anchors is missing or of other sides than the "
                f"model's (w, h) {mine.exp().int().tolist()}; set anchor_generator.sizes and "
                "ratios to the weights'"
            )
        orders.append(nearest)
    if given != len(orders) or any(order != orders[0] for order in orders):
        raise WeightsError("the anchors have other levels than the model's, or differ in order")
    return orders[0]
