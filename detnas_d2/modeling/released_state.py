"""Recognising the weights that DetNAS's authors released: kind and architecture, by the names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..space import SPACES, Architecture, SearchSpace
from .errors import WeightsError
from .released_keys import operation
from .weights import some

State = Mapping[str, torch.Tensor]

# A block's first convolution names its place and its operation.
_BLOCK = re.compile(
    r"(?:backbone\.(?:body\.)?)?features\.(\d+)\.(?:(\d+)\.)?conv\.0"
    r"\.interstellar\d[a-z]_(\w+_\dx\d)_branch2a\.weight"
)
_NAMES = {
    "classifier": "classifier",
    "backbone": "backbone",
    "fpn": "FPN detector",
    "retinanet": "RetinaNet detector",
}
_STEM = re.compile(r"(?:backbone\.(?:body\.)?)?first_conv\.conv\.weight")


@dataclass(frozen=True)
class Released:
    """Released weights, and what their names say of the network.

    Attributes:
        state: names without "module." -> tensors.
        kind: "classifier", "backbone" (without last_conv and fc), "fpn" or "retinanet".
        operations: the operations of the blocks, as in `shufflenet_7x7`; for a supernet those of
            the choices of any block.
        supernet: whether it is one.
        num_blocks, stem_channels: what tells the spaces apart.
    """

    state: State
    kind: str
    operations: tuple[str, ...]
    supernet: bool
    num_blocks: int
    stem_channels: int

    def __str__(self) -> str:
        return f"a {'supernet' if self.supernet else 'single network'}'s {_NAMES[self.kind]}"

    @property
    def prefixes(self) -> tuple[str, str]:
        """Where the names of backbone and FPN begin.

        A detector's backbone is a Sequential of body and FPN there, but a supernet's has the FPN
        beside it, since the path is the body's argument alone.
        """
        if self.kind not in ("fpn", "retinanet"):
            return "", ""
        return ("backbone.", "fpn.") if self.supernet else ("backbone.body.", "backbone.fpn.")

    def architecture(self, space: SearchSpace) -> Architecture:
        """The network's architecture as one of the space.

        Raises:
            WeightsError: a supernet, or a network that is none of the space.
        """
        if self.supernet:
            raise WeightsError("the weights are a supernet's, which has no architecture")
        self.check_space(space)
        names = [operation(choice) for choice in space.choices]
        return Architecture.parse([names.index(name) for name in self.operations], space)

    def check_space(self, space: SearchSpace) -> None:
        """Raise a WeightsError unless the weights can be of this space."""
        given = (self.num_blocks, self.stem_channels)
        names = [operation(choice) for choice in space.choices]
        lacking = sorted(set(self.operations) - set(names))
        if given == (space.num_blocks, space.stem_channels) and not lacking:
            return
        like = [s.name for s in SPACES.values() if given == (s.num_blocks, s.stem_channels)]
        raise WeightsError(
            f"the weights have {given[0]} blocks and {given[1]} stem channels, the model's space "
            f"{space.name!r} has {space.num_blocks} and {space.stem_channels}"
            + (f", and no {', '.join(lacking)}" if lacking else "")
            + (f"; take the space {' or '.join(like)}" if like else "; take the weights' space")
        )


def read_released(checkpoint: Any) -> Released:
    """Recognise a released checkpoint, as torch.load gave it.

    Args:
        checkpoint: a state dict, or a dict with one under "state_dict" (ImageNet) or "model"
            (COCO); all names may begin with "module.". What else is there (optimizer, scheduler,
            iteration) is no weight.

    Raises:
        WeightsError: it is none of the released forms.
    """
    state = _state(checkpoint)
    blocks: dict[tuple[int, int | None], str] = {}
    for match in filter(None, map(_BLOCK.fullmatch, state)):
        block, choice, name = match.groups()
        place = (int(block), None if choice is None else int(choice))
        if blocks.setdefault(place, name) != name:
            raise WeightsError(f"block {block} is both {blocks[place]} and {name}; expected one")
    stems = [key for key in state if _STEM.fullmatch(key)]
    num_blocks = len({block for block, _ in blocks})
    supernet = any(choice is not None for _, choice in blocks)
    choices = sorted({choice for _, choice in blocks if choice is not None})
    columns: list[int | None] = [*choices] if supernet else [None]
    expected = {(block, choice) for block in range(num_blocks) for choice in columns}
    if not blocks or len(stems) != 1 or set(blocks) != expected:
        raise WeightsError(
            "not the weights of a released DetNAS network: expected first_conv.conv.weight and "
            "blocks features.<n>.conv.0.interstellar<place>_<operation>_branch2a.weight with n "
            "from 0 (features.<n>.<choice>... in supernets), below backbone.body. in detectors and "
            f"backbone. in detectors' supernets; the names are {some(state)}"
        )
    places = [(0, c) for c in choices] if supernet else [(n, None) for n in range(num_blocks)]
    return Released(
        state,
        _kind(state),
        tuple(blocks[place] for place in places),
        supernet,
        num_blocks,
        len(state[stems[0]]),
    )


def _state(checkpoint: Any) -> dict[str, torch.Tensor]:
    state = checkpoint
    for name in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(name), Mapping):
            state = state[name]
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(
            f"the file holds a {type(state).__name__}; expected a state dict, or a dict with one "
            'under "state_dict" or "model"'
        )
    wrong = [k for k, v in state.items() if not (isinstance(k, str) and torch.is_tensor(v))]
    if wrong:
        raise WeightsError(f"not a state dict: no tensor under {some(map(str, wrong))}")
    wrapped = all(key.startswith("module.") for key in state)
    return {key[len("module.") * wrapped :]: tensor for key, tensor in state.items()}


def _kind(state: State) -> str:
    if any(key.startswith("roi_heads.box.") for key in state):
        return "fpn"
    if any(key.startswith("rpn.head.cls_tower.") for key in state):
        return "retinanet"
    return "classifier" if any(key.startswith("fc.") for key in state) else "backbone"
