"""Values of a config that no run can work with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


class _Whole(NamedTuple):
    """A whole number from `lowest` to below 2**64, or null where `may_be_null`."""

    lowest: int
    may_be_null: bool = False

    def allows(self, value: object) -> bool:
        if value is None:
            return self.may_be_null
        return type(value) is int and self.lowest <= value < 2**64

    def __str__(self) -> str:
        return f"a whole number from {self.lowest}{', or null' if self.may_be_null else ''}"


class _Real(NamedTuple):
    """A finite number of at least 0, or above it where `positive`."""

    positive: bool

    def allows(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return 0 <= value < math.inf and not (self.positive and value == 0)

    def __str__(self) -> str:
        return f"a finite number {'above' if self.positive else 'from'} 0"


_LOADER = {"num_workers": _Whole(0)}
_SEEDED = {**_LOADER, "total_batch_size": _Whole(1), "seed": _Whole(0)}
_BY_KIND: dict[str, dict[str, _Whole | _Real]] = {
    "train": {
        "train.max_iter": _Whole(1),
        "train.log_period": _Whole(1),
        "train.eval_period": _Whole(0),
        "train.checkpointer.period": _Whole(1),
        "train.checkpointer.max_to_keep": _Whole(1, may_be_null=True),
        "optimizer.lr": _Real(positive=True),
        "optimizer.momentum": _Real(positive=False),
        "optimizer.weight_decay": _Real(positive=False),
        **{f"dataloader.train.{key}": rule for key, rule in _SEEDED.items()},
    },
    "test": {},
    "search": {
        "search.seed": _Whole(0),
        **{f"dataloader.calibration.{key}": rule for key, rule in _SEEDED.items()},
    },
}
_ALL: dict[str, _Whole | _Real] = {
    "train.seed": _Whole(0),
    "dataloader.test.batch_size": _Whole(1),
    "dataloader.test.num_workers": _Whole(0),
    "model.num_classes": _Whole(1),
    "model.roi_heads.num_classes": _Whole(1),
}


def wrong_settings(cfg: DictConfig, kind: str) -> Iterator[str]:
    """What is wrong with values that a config has; what it lacks is no matter here.

    Args:
        cfg: the config.
        kind: "train", "test" or "search".
    """
    for key, rule in {**_ALL, **_BY_KIND[kind]}.items():
        parent, _, leaf = key.rpartition(".")
        try:
            node = OmegaConf.select(cfg, parent)
            if not isinstance(node, DictConfig) or leaf not in node:
                continue
            value = node[leaf]
        except OmegaConfBaseException as e:
            yield f"{key}: {e}"
            continue
        if not rule.allows(value):
            yield f"{key} is {value!r}; expected {rule}."
