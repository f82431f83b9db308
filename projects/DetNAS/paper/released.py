"""The weights that DetNAS's authors released, converted into this project's.

Taken over exactly (up to rounding): every convolution, norm and linear layer, by the names that the
public code gives: ImageNet classifiers and supernet (their ShuffleNet-Series, and
Supernet-ImageNet in their DetNAS), COCO detectors and COCO supernets (their DetNAS, which is built
on maskrcnn-benchmark). Convolution biases before a norm (first and last convolution, their FPN and
box head) go into the norm's running mean: the same network in evaluation and, as batch statistics
take a bias off, in training. `released_heads` has the orders of classes and anchors.

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

RetinaNet's P6 and the supernets' channel shuffle differ too (README.md): no name tells the
shuffle, so the config has to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
from .released_heads import convert_heads
from .released_names import LAYER, renamed

_MODELS: dict[str, type[nn.Module]] = {
    "classifier": Classifier,
    "backbone": StagedBackbone,
    "fpn": GeneralizedRCNN,
    "retinanet": RetinaNet,
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
        if len(blocks) != space.num_blocks or not set(blocks) <= set(names):
            raise WeightsError(
                f"the weights have {len(blocks)} blocks of {', '.join(sorted(set(blocks)))}, the "
                f"model's space {space.name!r} has {space.num_blocks} of {', '.join(names)}; take "
                "the weights' space"
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
    named = {beginning.sub("", name, count=1): tensor for name, tensor in state.items()}
    blocks = {
        (int(match["block"]), None if match["choice"] is None else int(match["choice"])): match[
            "operation"
        ]
        for match in map(LAYER.fullmatch, named)
        if match and match["operation"]
    }
    choices, count = {choice for _, choice in blocks}, len({block for block, _ in blocks})
    whole = {(block, choice) for block in range(count) for choice in choices} == set(blocks)
    if not blocks or not whole or "first_conv.conv.weight" not in named or len(named) != len(state):
        raise WeightsError(
            "not the weights of a released DetNAS network: expected first_conv.conv.weight and "
            "blocks features.<n>.conv.0.interstellar<place>_<operation>_branch2a.weight with n "
            "from 0 (features.<n>.<choice>... in supernets), below backbone.body. in detectors and "
            f"backbone. in detectors' supernets; the names are {', '.join(list(state)[:8])}, ..."
        )
    kinds = {"roi_heads.box.": "fpn", "rpn.head.cls_tower.": "retinanet", "fc.": "classifier"}
    found = (kinds[start] for start in kinds if any(name.startswith(start) for name in named))
    return Released(named, next(found, "backbone"), blocks)


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
    if found is None or not isinstance(model, _MODELS[released.kind]):
        raise WeightsError(
            f"the weights are {released}, the model is a {type(model).__name__}; expected a "
            f"{_MODELS[released.kind].__name__} with a DetNAS backbone"
        )
    prefix, backbone = found
    _check_backbone(released, backbone)
    state = renamed(released.state, released.kind, backbone.space, prefix)
    if released.kind in ("fpn", "retinanet"):
        convert_heads(state, released, model)
    description = describe(model)
    load_weights(model, {"model": state, "detnas": description})
    weights = {key: tensor.detach().cpu().clone() for key, tensor in model.state_dict().items()}
    return {"model": weights, "detnas": description}


def _check_backbone(released: Released, backbone: StagedBackbone) -> None:
    """The same architecture and shuffle; names and shapes are compared when weights are loaded."""
    space, fixed = backbone.space, isinstance(backbone, StandAloneNetwork)
    theirs = None if released.supernet else released.architecture(space)
    ours = backbone.architecture if isinstance(backbone, StandAloneNetwork) else None
    if theirs != ours:
        raise WeightsError(
            f"the weights are of architecture {theirs or 'any (a supernet)'}, the model has "
            f"{ours or 'any (a supernet)'}; give the model the weights' one"
        )
    block = ShuffleBlock if fixed else HalvesShuffleBlock
    if any(choice.block != f"{block.__module__}.{block.__name__}" for choice in space.choices):
        raise WeightsError(
            "the released supernets shuffle channels by halves, the released single networks in "
            f"the even/odd form; expected choices of {block.__name__}, the space {space.name!r} "
            f"has others{'' if fixed else ': take halves_space of it'}"
        )
