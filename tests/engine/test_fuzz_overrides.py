"""Overrides of anything: applied exactly, or a ConfigError and a config that is as it was."""

from __future__ import annotations

import copy
import json

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
fuzz = settings(max_examples=200, derandomize=True, deadline=None)
keys = st.sampled_from(LEAVES) | st.sampled_from(["train", "train.amp", "model.alias", "+train.x"])
printable = st.characters(min_codepoint=32, max_codepoint=0x2FF)
texts = st.text(printable, max_size=12) | st.text("0123456789.,-+eE[]{}:'\"$\\ ~", max_size=12)


def config():
    return OmegaConf.create(copy.deepcopy(CONFIG))


def container(cfg):
    return OmegaConf.to_container(cfg, resolve=False)


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
    cfg = config()
    try:
        return container(apply_overrides(cfg, [text]))
    except ConfigError as error:
        assert repr(text)[1:-1] in str(error)
        assert container(cfg) == CONFIG
        return None


@fuzz
@given(keys, texts)
def test_any_value(key, text):
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


@fuzz
@given(st.text(printable, max_size=25))
def test_anything(text):
    applied(text)


@fuzz
@given(
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.lists(st.integers(0, 9), max_size=5),
    st.text(printable, max_size=12),
)
def test_a_round_trip(integer, real, flag, numbers, text):
    quoted = json.dumps(text.replace("\\", "").replace("$", ""), ensure_ascii=False)
    after = container(
        apply_overrides(
            config(),
            [
                f"train.max_iter={integer}",
                f"optimizer.lr={real!r}",
                f"train.amp.enabled={flag}",
                f"model.architecture={numbers}",
                f"train.output_dir={quoted}",
            ],
        )
    )
    assert after["train"]["max_iter"] == integer
    assert after["optimizer"]["lr"] == real
    assert after["train"]["amp"]["enabled"] is flag
    assert after["model"]["architecture"] == numbers
    assert after["train"]["output_dir"] == json.loads(quoted)
