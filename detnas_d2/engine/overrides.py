"""``key=value`` overrides of a config, with their typos and wrong types refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..errors import ConfigError
from ..rules import did_you_mean
from ..settings import is_allowed

_INT_LIST = re.compile(r"^\d+(,\d+)+$")
_PLAIN = re.compile(r"[\w./-]*|[\d,]*", re.ASCII)
KNOWN_KEYS_ONLY = "docs/config.md has all keys; one of your own goes into a group of your own."
"""What to do about a key that `is_allowed` refuses."""


def as_override(key: str, value: str) -> str:
    """``key=value`` that `apply_overrides` reads as that text, in quotes where it needs them."""
    if not _PLAIN.fullmatch(value):
        value = QuotedString(value, Quote.single).with_quotes()
    return f"{key}={value}"


def apply_overrides(cfg: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Apply ``key=value`` overrides to a config, as `load_config` does; returns it.

    Raises:
        ConfigError: naming the key, and the nearest existing one.
    """
    for text in overrides:
        override = _parse(text)
        key, value = override.key_or_group, override.value()
        current = _current(cfg, text, key)
        if type(current) is int and isinstance(value, float) and value.is_integer():
            value = int(value)  # 3e8
        if isinstance(current, str) and isinstance(value, (bool, int, float)):
            value = text.partition("=")[2]  # output_dir=2026 is a name
        _check(cfg, text, key, current, value, override.is_add())
        try:
            # a whole list or node is replaced, never merged element by element
            OmegaConf.update(cfg, key, value, merge=not isinstance(value, list))
        except OmegaConfBaseException as e:
            raise ConfigError(f"Override {text!r} cannot be applied: {e}") from e
    return cfg


_ABSENT = object()


def _current(cfg: DictConfig, text: str, key: str) -> Any:
    """The value of a key; None where it waits for one ("???"), _ABSENT without such a key.

    A key below a value, or behind an interpolation, is refused: setting it would cut a node off.
    """
    raw: Any = OmegaConf.to_container(cfg, resolve=False)
    parts = key.split(".")
    for i, part in enumerate(parts):
        if isinstance(raw, list):
            raw = {str(number): item for number, item in enumerate(raw)}
        if not isinstance(raw, dict):
            what = f"Override {text!r}: {'.'.join(parts[:i])!r} "
            if isinstance(raw, str) and "${" in raw:
                what += f"stands for {raw}, as seen from where it is; override that key."
            else:
                what += f"holds the value {raw!r}; no key can be below it."
            raise ConfigError(what)
        if part not in raw:
            return _ABSENT
        raw = raw[part]
    try:
        return None if raw == "???" else OmegaConf.select(cfg, key)
    except OmegaConfBaseException:  # an interpolation to something unset
        return None


def _check(cfg: DictConfig, text: str, key: str, current: Any, value: Any, add: bool) -> None:
    """Refuse a key that the config lacks, or a value of another type, also inside a dict.

    Args:
        current: as `_current` gives it.
    """
    if current is not _ABSENT:
        _check_type(text, current, value)
        if isinstance(current, DictConfig) and isinstance(value, dict):
            for name, item in value.items():
                inner = f"{key}.{name}"
                _check(cfg, text, inner, _current(cfg, text, inner), item, add)
    elif not (add and is_allowed(key)):
        near = did_you_mean(key, (k for k, _ in walk(cfg) if "[" not in k))
        how = (
            f"To add a key on purpose, write '+{key}=...'." if is_allowed(key) else KNOWN_KEYS_ONLY
        )
        raise ConfigError(f"Override {text!r}: the config has no key {key!r}.{near} {how}")


def _parse(text: str) -> Override:
    if text.startswith("~"):
        raise ConfigError(f"Override {text!r}: keys can't be deleted; set the key to null instead.")
    if text.startswith("--"):
        raise ConfigError(
            f"Override {text!r} is an option; options with a value go before the overrides."
        )
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"Override {text!r} has no '='; overrides look like train.max_iter=100.")
    if _INT_LIST.match(value):
        text = f"{key}=[{value}]"
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as e:
        raise ConfigError(
            f"Override {text!r} cannot be parsed: {str(e).splitlines()[0]} "
            "Values with special characters need quotes: key='\"a b\"'."
        ) from e
    if override.is_sweep_override():
        raise ConfigError(f"Override {text!r}: several values; a list is written [a,b].")
    return override


def _check_type(text: str, current: Any, value: Any) -> None:
    """Refuse a value that is not of the type of the one it replaces."""
    if current is None or value is None:
        return
    # architectures are files, text or lists of numbers; any of them may replace another
    is_architecture = text.partition("=")[0].rpartition(".")[2] == "architecture"
    kind = type(current)
    fits: tuple[type, ...] = (kind,)
    expected = f"expected a value of type {kind.__name__} (now {current!r})"
    if isinstance(current, DictConfig):
        fits = (dict,)
        keys = ", ".join(map(str, list(current)[:8]))
        expected = f"that key is a group; set one of its keys ({keys})"
    elif isinstance(current, ListConfig):
        fits = (list, str)
        expected = f"expected a list, written [a,b] (now {list(current)})"
    elif kind is float:
        fits = (float, int)
    elif kind is str and is_architecture:
        fits = (str, list)
    elif kind not in (bool, int, str):  # such as a class, which a _target_ may be
        return
    if type(value) not in fits:
        raise ConfigError(
            f"Override {text!r}: {expected}, got {value!r} of type {type(value).__name__}."
        )


def walk(node: Any, key: str = "", *, follow: bool = False) -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of all that a config holds at any depth, itself first.

    Args:
        node: a config or a part of it.
        key: where it stands.
        follow: interpolations too; else their value is None, as of what waits to be set ("???").
    """
    yield key, node
    if not isinstance(node, (DictConfig, ListConfig)):
        return
    names: Iterable[Any] = node if isinstance(node, DictConfig) else range(len(node))
    for name in names:
        place = f"{key}[{name}]" if isinstance(name, int) else f"{key}.{name}".lstrip(".")
        waits = OmegaConf.is_missing(node, name)
        if waits or (OmegaConf.is_interpolation(node, name) and not follow):
            yield place, None
        else:
            yield from walk(node[name], place, follow=follow)
