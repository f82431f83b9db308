"""What a setting has to be, and which name was meant by a wrong one."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .errors import ConfigError


class Rule(NamedTuple):
    """What a value has to be; `text` ends a sentence with "expected"."""

    text: str
    allows: Callable[[Any], bool]
    unit: str = ""

    def or_null(self) -> Rule:
        return self._replace(
            text=f"{self.text}, or null", allows=lambda v: v is None or self.allows(v)
        )


def whole(lowest: int, unit: str = "", *, most: int = 2**64 - 1) -> Rule:
    """A whole number from `lowest` to `most`."""
    text = f"a whole number from {lowest}{f' to {most}' if most < 2**64 - 1 else ''}"
    text += f", in {unit}" if unit else ""
    return Rule(text, lambda v: type(v) is int and lowest <= v <= most, unit)


def number(unit: str = "", *, zero: bool = False) -> Rule:
    """A finite number above 0, or from 0 with `zero`."""
    text = f"a finite number {'from' if zero else 'above'} 0{f', in {unit}' if unit else ''}"
    lowest = 0.0 if zero else math.ulp(0.0)
    return Rule(text, lambda v: type(v) in (int, float) and lowest <= v < math.inf, unit)


_DEVICE = re.compile(r"cpu|cuda(:\d+)?")
FLAG = Rule("True or False", lambda v: isinstance(v, bool))
TEXT = Rule("text", lambda v: isinstance(v, str))
FILE, FOLDER = (Rule(f"the name of a {kind}", TEXT.allows, kind) for kind in ("file", "folder"))
DEVICE = Rule("cpu, cuda, or cuda:NUMBER", lambda v: bool(_DEVICE.fullmatch(str(v))))
LIST = Rule("a list", lambda v: isinstance(v, Sequence) and not isinstance(v, str))
SIZE = Rule(
    "[height, width] in whole numbers from 1",
    lambda v: LIST.allows(v) and len(v) == 2 and all(whole(1).allows(side) for side in v),
    "pixels",
)
NODE = Rule("a node, L(CLASS)(...)", lambda v: isinstance(v, Mapping) and "_target_" in v)


def require(part: str, **settings: tuple[Any, Rule]) -> None:
    """Refuse the first of a part's settings that can't work.

    Args:
        part: the key of its node, e.g. "search.fitness".
        settings: by name the value, and what it has to be.

    Raises:
        ConfigError: naming key, value and what is expected.
    """
    for name, (value, rule) in settings.items():
        if not rule.allows(value):
            raise ConfigError(why_wrong(f"{part}.{name}", value, rule))


def why_wrong(key: str, value: Any, rule: Rule) -> str:
    return f"{key} is {value!r}; expected {rule.text}."


def did_you_mean(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """A question with up to three of the names, a blank before it; empty where none is near.

    Args:
        name: a wrong one. Dotted names whose last parts are equal are near.
        names: the right ones.
        cutoff: the least that difflib's ratio has to be.
    """
    names, leaf = list(names), name.rpartition(".")[2]
    near = difflib.get_close_matches(name, names, 3, cutoff)
    near = near or [other for other in names if other.rpartition(".")[2] == leaf][:3]
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
