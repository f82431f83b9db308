"""State dicts: where they have the backbone, one path of a supernet's, whether two agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import index
from typing import Any, NamedTuple

import torch

from ..space import Architecture
from .errors import WeightsError

State = Mapping[str, torch.Tensor]
_STEM_KEY = "stem.conv.weight"
_COUNTER = "num_batches_tracked"  # BN, SyncBN and NaiveSyncBN have it, FrozenBN has not


class Stated(NamedTuple):
    """The network that a checkpoint says it is of; all is empty where it says nothing.

    architecture: None for a supernet.
    """

    space: str = ""
    fingerprint: str = ""
    architecture: list[int] | None = None

    @property
    def is_supernet(self) -> bool:
        return self.fingerprint != "" and self.architecture is None


def stated_network(checkpoint: Mapping[str, Any]) -> Stated:
    """What a checkpoint's "detnas" says, which `describe` made.

    Raises:
        WeightsError: it is damaged.
    """
    stated = checkpoint.get("detnas")
    if not stated:
        return Stated()
    try:
        name, fingerprint, choices = (stated[field] for field in Stated._fields)
        # they become a part of the config, where text or a dict could be more than numbers
        architecture = None if choices is None else [index(choice) for choice in choices]
    except (TypeError, KeyError) as e:
        raise WeightsError(
            'the checkpoint\'s entry "detnas" is damaged: expected space, fingerprint and '
            f"architecture, got {stated!r}"
        ) from e
    return Stated(str(name), str(fingerprint), architecture)


def slice_supernet(state_dict: State, architecture: Architecture) -> dict[str, torch.Tensor]:
    """The state dict of one architecture's stand-alone network, out of its supernet's.

    Keys `<stage>.<block>.<choice>.…` of the chosen choices lose `<choice>.`, those of other choices
    are left out, all else (the stem) stays. The tensors are shared, not
    copied, so the outputs are bit-identical.

    Raises:
        WeightsError: a key that no supernet of the architecture's space has.
    """
    keys = path_keys(state_dict, architecture)
    return {ours: state_dict[theirs] for ours, theirs in keys.items()}


def path_keys(supernet_keys: Iterable[str], architecture: Architecture) -> dict[str, str]:
    """What `slice_supernet` takes: a network's key -> its supernet's."""
    space = architecture.space
    path = {
        (space.stage_names[block.stage], str(block.index_in_stage)): str(choice)
        for block, choice in zip(space.blocks, architecture, strict=True)
    }
    choices = {str(i) for i in range(space.num_choices)}
    keys = {}
    for key in supernet_keys:
        parts = key.split(".")
        if parts[0] not in space.stage_names:
            keys[key] = key
            continue
        chosen = path.get((parts[0], parts[1])) if len(parts) > 3 else None
        if chosen is None or parts[2] not in choices:
            raise WeightsError(
                f"{key!r} is no key of a supernet of space {space.name!r}; expected "
                f"<stage>.<block>.<choice>.<...> with {space.num_blocks} blocks and "
                f"choices 0 to {space.num_choices - 1}"
            )
        if parts[2] == chosen:
            keys[".".join(parts[:2] + parts[3:])] = key
    return keys


def compare(source: State, target: State, headline: str) -> None:
    """Raise unless keys (batch counters aside) and shapes agree."""
    missing, unexpected = (
        [k for k in a if k not in b and not k.endswith(_COUNTER)]
        for a, b in ((target, source), (source, target))
    )
    shapes = [
        f"{k}: {tuple(source[k].shape)} in the checkpoint, {tuple(target[k].shape)} in the model"
        for k in target
        if k in source and source[k].shape != target[k].shape
    ]
    labels = ("missing in the checkpoint", "not in the model", "of another shape")
    lines = [
        f"\n  {len(keys)} {label}: {some(keys)}"
        for label, keys in zip(labels, (missing, unexpected, shapes), strict=True)
        if keys
    ]
    if lines:
        raise WeightsError("".join([headline, *lines]))


def checked_state(checkpoint: Mapping[str, Any]) -> State:
    if not isinstance(checkpoint, Mapping):
        raise WeightsError(
            f"load_weights takes a checkpoint's content, not a {type(checkpoint).__name__}: "
            "torch.load(path, 'cpu', weights_only=True); or take "
            "detnas_d2.engine.DetNASCheckpointer(model).load_initial(path)"
        )
    state = checkpoint.get("model", checkpoint)
    if not isinstance(state, Mapping):
        raise WeightsError(
            f'the checkpoint\'s entry "model" is a {type(state).__name__}; expected a state dict'
        )
    wrong = [k for k, v in state.items() if not (isinstance(k, str) and torch.is_tensor(v))]
    if wrong:
        raise WeightsError(f"not a state dict: no tensor under {some(map(str, wrong))}")
    return state


def detnas_prefix(state: State) -> str:
    ends = [key[: -len(_STEM_KEY)] for key in state if key.endswith(_STEM_KEY)]
    prefixes = [p for p in ends if p == "" or p.endswith(".")]
    if len(prefixes) != 1:
        raise WeightsError(
            f"the checkpoint holds {len(prefixes)} DetNAS backbones (keys that end with "
            f"{_STEM_KEY!r}), expected one; its keys: {some(state)}"
        )
    return prefixes[0]


def other_prefix(state: State) -> str:
    in_fpn = any(key.startswith("backbone.bottom_up.") for key in state)
    return "backbone.bottom_up." if in_fpn else "backbone."


def split(state: State, prefix: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The backbone's entries without the prefix, and all others."""
    body = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    return body, {k: v for k, v in state.items() if not k.startswith(prefix)}


def same_keys(a: State, b: State) -> bool:
    return {k for k in a if not k.endswith(_COUNTER)} == {k for k in b if not k.endswith(_COUNTER)}


def some(keys: Iterable[str]) -> str:
    """The first eight of the keys, and how many more there are."""
    keys = list(keys)
    return ", ".join(keys[:8]) + (f" and {len(keys) - 8} more" if len(keys) > 8 else "")
