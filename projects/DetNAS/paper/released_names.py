"""The names of the weights that DetNAS's authors released, and ours for them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from detnas_d2.modeling import WeightsError
from detnas_d2.space import SearchSpace

State = Mapping[str, torch.Tensor]
ANCHORS = "rpn.anchor_generator.cell_anchors."
RPN, BOX = "proposal_generator.rpn_head.", "roi_heads.box_"

# A layer of a block: its place and, in the main branch, its operation are in its name. `_s` is a
# depthwise convolution, `bn` and `_s_bn` are norms.
LAYER = re.compile(
    r"features\.(?P<block>\d+)\.(?:(?P<choice>\d+)\.)?(?:conv\.(?P<part>\d)|proj_conv)"
    r"\.(?P<kind>interstellar|bn)\d[a-z]_(?:proj|(?P<operation>\w+_\dx\d)_branch2[abc])"
    r"(?P<depthwise>_s)?(?P<norm>_bn)?\.(?P<leaf>\w+)"
)
_STEM = {"first_conv.conv.": "stem.conv.", "first_conv.bn.": "stem.norm."}
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
        "rpn.head.conv.": f"{RPN}conv.",
        "rpn.head.cls_logits.": f"{RPN}objectness_logits.",
        "rpn.head.bbox_pred.": f"{RPN}anchor_deltas.",
        **{f"{_EXTRACTOR}xconvs.{3 * i}.": f"{BOX}head.conv{i + 1}." for i in range(4)},
        **{f"{_EXTRACTOR}xconvs.{3 * i + 1}.": f"{BOX}head.conv{i + 1}.norm." for i in range(4)},
        f"{_EXTRACTOR}fc6.": f"{BOX}head.fc1.",
        f"{_PREDICTOR}cls_score.": f"{BOX}predictor.cls_score.",
        f"{_PREDICTOR}bbox_pred.": f"{BOX}predictor.bbox_pred.",
    },
    "retinanet": {
        "top_blocks.": "backbone.top_block.",
        "rpn.head.cls_tower.": "head.cls_subnet.",
        "rpn.head.bbox_tower.": "head.bbox_subnet.",
        "rpn.head.cls_logits.": "head.cls_score.",
        "rpn.head.bbox_pred.": "head.bbox_pred.",
    },
}


def renamed(theirs: State, kind: str, space: SearchSpace, prefix: str) -> dict[str, torch.Tensor]:
    """The weights by our names, biases before norms in the norms' means; less the anchors."""
    starts = {name: prefix + ours for name, ours in _STEM.items()} | _HEADS[kind]
    if kind in ("fpn", "retinanet"):
        starts |= _FPN
    state, wrong, biased = {}, [], []
    for name, tensor in theirs.items():
        if match := LAYER.fullmatch(name):
            ours = prefix + _block_name(match, space)
        else:
            start = next((start for start in starts if name.startswith(start)), "")
            ours = starts.get(start, "") + name[len(start) :]
            if ours.endswith(".norm.running_mean"):
                biased.append(ours.removesuffix(".norm.running_mean"))
            if not start:
                wrong += [] if name.startswith(ANCHORS) else [name]
                continue
        if ours in state:
            raise WeightsError(f"two weights are the model's {ours}, one of them {name}")
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
