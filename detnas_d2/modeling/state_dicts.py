"""State dicts: where they have the backbone, and whether two are of one network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from .errors import WeightsError
from .slicing import State

_STEM_KEY = "stem.conv.weight"
_COUNTER = "num_batches_tracked"  # BN, SyncBN and NaiveSyncBN have it, FrozenBN has not


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
    lines = [
        f"  {len(keys)} {label}: {some(keys)}"
        for label, keys in (
            ("missing in the checkpoint", missing),
            ("not in the model", unexpected),
            ("of another shape", shapes),
        )
        if keys
    ]
    if lines:
        raise WeightsError("\n".join([headline, *lines]))


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


def some(keys: Iterable[str], most: int = 8) -> str:
    """The first of the keys, and how many more there are."""
    keys = list(keys)
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")
