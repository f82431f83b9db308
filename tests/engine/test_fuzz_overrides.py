"""Overrides of anything: applied exactly, or a ConfigError and a config that is as it was."""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from detnas_d2.engine import ConfigError
from detnas_d2.engine.overrides import apply_overrides

CONFIG = {
    "train": {"max_iter": 8, "output_dir": "output", "amp": {"enabled": False}, "eval": None},
    "optimizer": {"lr": 0.1, "betas": [0.9, 0.99]},
    "model": {"architecture": [0, 1, 2], "name": "x", "alias": "${train.max_iter}"},
}
LEAVES = [
    *("train.max_iter", "train.output_dir", "train.amp.enabled", "train.eval"),
    *("optimizer.lr", "optimizer.betas", "model.architecture", "model.name"),
]
fuzz = settings(max_examples=100, derandomize=True, deadline=None)
keys = st.sampled_from(LEAVES) | st.sampled_from(["train", "train.amp", "model.alias", "+train.x"])
printable = st.characters(min_codepoint=32, max_codepoint=0x2FF)
texts = st.text(printable, max_size=12) | st.text("0123456789.,-+eE[]{}:'\"$\\ ~", max_size=12)


def flat(node, prefix=""):
    """Key -> leaf; an empty group counts as one."""
    if not isinstance(node, dict) or not node:
        return {prefix: node}
    found = {}
    for key, value in node.items():
        found.update(flat(value, f"{prefix}.{key}" if prefix else str(key)))
    return found


def applied(text: str):
    """The config after the override; None where it was refused, and then nothing was changed."""
    cfg = OmegaConf.create(copy.deepcopy(CONFIG))
    try:
        return OmegaConf.to_container(apply_overrides(cfg, [text]), resolve=False)
    except ConfigError as error:
        assert repr(text)[1:-1] in str(error)
        assert OmegaConf.to_container(cfg, resolve=False) == CONFIG
        return None


@fuzz
@given(keys, texts, st.text(printable, max_size=25))
def test_any_value(key, text, anything):
    applied(anything)
    after = applied(f"{key}={text}")
    if after is None:
        return
    before, now = flat(CONFIG), flat(after)
    name = key.lstrip("+")
    changed = {k for k in {*before, *now} if k not in before or repr(before[k]) != repr(now.get(k))}
    assert all(k == name or k.startswith(f"{name}.") for k in changed)
    old, new = before.get(name), now.get(name)
    if new is not None and isinstance(old, (bool, int, float)):
        assert type(new) is type(old) or (type(old) is float and type(new) is int)
    if name == "train.output_dir" and new is not None:
        assert isinstance(new, str)
