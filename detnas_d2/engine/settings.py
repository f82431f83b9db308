"""Values of a config that no run can work with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .config import ConfigError


class Rule(Protocol):
    """What a value has to be; its text ends a sentence with "expected"."""

    def allows(self, value: object) -> bool: ...


class Whole(NamedTuple):
    """A whole number from `lowest` to below 2**64, or null where `may_be_null`."""

    lowest: int
    may_be_null: bool = False

    def allows(self, value: object) -> bool:
        if value is None:
            return self.may_be_null
        return type(value) is int and self.lowest <= value < 2**64

    def __str__(self) -> str:
        return f"a whole number from {self.lowest}{', or null' if self.may_be_null else ''}"


class Real(NamedTuple):
    """A finite number of at least 0, or above it where `positive`; `unit` is told."""

    positive: bool
    unit: str = ""

    def allows(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return 0 <= value < math.inf and not (self.positive and value == 0)

    def __str__(self) -> str:
        unit = f", in {self.unit}" if self.unit else ""
        return f"a finite number {'above' if self.positive else 'from'} 0{unit}"


class Flag(NamedTuple):
    """True or False, or null where `may_be_null`."""

    may_be_null: bool = False

    def allows(self, value: object) -> bool:
        return isinstance(value, bool) or (self.may_be_null and value is None)

    def __str__(self) -> str:
        return "True, False or null" if self.may_be_null else "True or False"


def require(part: str, **settings: tuple[object, Rule]) -> None:
    """Refuse the first of a part's settings that can't work.

    Args:
        part: the key of its node, e.g. "search.fitness".
        settings: by name the value, and what it has to be.

    Raises:
        ConfigError: naming key, value and what is expected.
    """
    for name, (value, rule) in settings.items():
        if not rule.allows(value):
            raise ConfigError(_wrong(f"{part}.{name}", value, rule))


_LOADER = {"num_workers": Whole(0)}
_SEEDED = {**_LOADER, "total_batch_size": Whole(1), "seed": Whole(0)}
_BY_KIND: dict[str, dict[str, Rule]] = {
    "train": {
        "train.max_iter": Whole(1),
        "train.log_period": Whole(1),
        "train.eval_period": Whole(0),
        "train.checkpointer.period": Whole(1),
        "train.checkpointer.max_to_keep": Whole(1, may_be_null=True),
        "optimizer.lr": Real(positive=True),
        "optimizer.momentum": Real(positive=False),
        "optimizer.weight_decay": Real(positive=False),
        **{f"dataloader.train.{key}": rule for key, rule in _SEEDED.items()},
    },
    "test": {},
    "search": {
        "search.seed": Whole(0),
        **{f"dataloader.calibration.{key}": rule for key, rule in _SEEDED.items()},
    },
}
_ALL: dict[str, Rule] = {
    "train.seed": Whole(0),
    "dataloader.test.batch_size": Whole(1),
    "dataloader.test.num_workers": Whole(0),
    "model.num_classes": Whole(1),
    "model.roi_heads.num_classes": Whole(1),
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
            yield _wrong(key, value, rule)


def _wrong(key: str, value: object, rule: Rule) -> str:
    return f"{key} is {value!r}; expected {rule}."
