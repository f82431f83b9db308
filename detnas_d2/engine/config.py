"""LazyConfig files and overrides, checked before any work starts."""

from __future__ import annotations

import difflib
import itertools
import os
import re
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..data import register_from_config
from ..errors import DetNASError
from ..own_modules import calls_out_of_reach, find_own_modules, why_not_read
from ..trust import HOW, TrustError, is_code, read_config
from .config_objects import describe_objects, plain_path

_INT_LIST = re.compile(r"^\d+(,\d+)+$")


class ConfigError(DetNASError, ValueError):
    """A config file or an override that cannot be used."""


def load_config(
    path: str, overrides: Sequence[str] = (), *, trust: bool = False, test: bool = False
) -> DictConfig:
    """Load a LazyConfig file and apply ``key=value`` overrides to it.

    Unlike ``LazyConfig.apply_overrides``, which creates a mistyped key in silence, an override
    has to name a key that the config has, with a value of the same type. ``+key=value`` adds a
    key on purpose, and ``key=2,1,2,0`` is an architecture: the same as ``key=[2,1,2,0]``.
    The config's own data sets (``datasets``) are registered. Where it names no
    ``train.output_dir``, that follows from its path (`output_dir_of`).

    Args:
        path: a .py file, which is run, or YAML, which may come from elsewhere (`detnas_d2.trust`).
        overrides: the user's own.
        trust: run whatever YAML names.
        test: for ``--eval-only``. The checkpoint is then what this config trains, the images those
            of ``dataloader.final_test`` (where it has none: of ``dataloader.test``), and the
            predictions go to the output folder; overrides come after that.

    Raises:
        ConfigError: naming the file or key, and the nearest existing key.
        TrustError: YAML that names other things than a config from elsewhere may.
    """
    if not os.path.isfile(path):
        raise ConfigError(f"The config file {path!r} does not exist.{_files_near(path)}")
    if is_code(path, trust):
        find_own_modules()
    try:
        cfg = read_config(path, trust=trust)
    except TrustError:
        raise
    except DetNASError as e:  # says itself what to do
        raise ConfigError(f"{e} (Read by the config file {path!r}.)") from e
    except Exception as e:  # a config runs code of its own, which can raise anything
        syntax = f" {e.__cause__}" if isinstance(e, SyntaxError) and e.__cause__ else ""
        raise ConfigError(
            f"The config file {path!r} could not be read: {why_not_read(path, e)}{syntax}"
            f"{_line_of(e)}"
        ) from e
    describe_objects(cfg)
    if wrong := calls_out_of_reach(OmegaConf.to_container(cfg, resolve=False)):
        raise ConfigError(f"The config file {path!r} {wrong}")
    address = OmegaConf.select(cfg, "search.executor.address")
    if address is not None and not is_code(path, trust):
        raise TrustError(
            f"{path} sets search.executor.address to {address!r}. Whoever runs that cluster can "
            f"run anything on this machine; {HOW}"
        )
    _refuse_moved(cfg, path)
    if OmegaConf.is_config(cfg.get("train")) and cfg.train.get("output_dir") is None:
        cfg.train.output_dir = output_dir_of(path)
    if test:
        _test_what_it_trains(cfg)
    cfg = apply_overrides(cfg, overrides)
    register_from_config(cfg.get("datasets"))
    return cfg


_MOVED = {
    "fitness": (
        "metric",
        "calibration_batches",
        "batch_size",
        "amp",
        "channels_last",
        "cache_memory",
    ),
    "executor": ("workers", "address", "threads", "retries", "time_limit"),
}


def _refuse_moved(cfg: DictConfig, path: str) -> None:
    """Refuse the keys of a search that an earlier version had elsewhere."""
    search = OmegaConf.select(cfg, "search")
    if not isinstance(search, DictConfig):
        return
    for part, keys in _MOVED.items():
        for key in keys:
            if key in search:
                raise ConfigError(
                    f"{path} sets search.{key}, which is search.{part}.{key} now: set that, or "
                    "take the config that this version has."
                )
    if search.get("memory_limit") is not None:
        raise ConfigError(f"{path} sets search.memory_limit, which is no more: set it to null.")


def output_dir_of(path: str) -> str:
    """The output folder of a config: output/coco/step2_x of configs/coco/step2_x.py, wherever that
    ``configs`` folder lies; output/NAME of a file that lies in none."""
    parts = Path(os.path.abspath(path)).with_suffix("").parts
    below = parts[::-1].index("configs") if "configs" in parts[:-1] else 1
    return plain_path(os.path.join("output", *parts[-below:]))


def _test_what_it_trains(cfg: DictConfig) -> None:
    if "train" in cfg:
        cfg.train.init_checkpoint = "${.output_dir}/model_final.pth"
    loaders = cfg.get("dataloader", OmegaConf.create())
    if loaders.get("final_test") is not None:
        loaders.test.dataset.names = loaders.final_test
    if "output_dir" in (loaders.get("evaluator") or {}):
        loaders.evaluator.output_dir = "${train.output_dir}"


def _line_of(error: Exception) -> str:
    """Where in the config, or in one that it imports, an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    modules = [f for f in frames if f.name == "<module>"]
    return f" (in {modules[-1].filename}, line {modules[-1].lineno})" if modules else ""


def apply_overrides(cfg: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Apply ``key=value`` overrides to a config, as `load_config` does; returns it.

    Raises:
        ConfigError: naming the key, and the nearest existing one.
    """
    for text in overrides:
        _apply(cfg, text)
    return cfg


def backbone_key(cfg: DictConfig) -> str:
    """Where the DetNAS backbone stands in a config: in a detector it is the bottom of an FPN."""
    return "model.backbone" + (".bottom_up" if "bottom_up" in cfg.model.backbone else "")


def backbone_node(cfg: DictConfig) -> DictConfig:
    """The config of the DetNAS backbone, which stands at `backbone_key`."""
    return OmegaConf.select(cfg, backbone_key(cfg))


def _apply(cfg: DictConfig, text: str) -> None:
    override = _parse(text)
    if override.is_sweep_override():
        raise ConfigError(f"Override {text!r}: several values; a list is written [a,b].")
    key, value = override.key_or_group, override.value()
    current = _current(cfg, key)
    if type(current) is int and isinstance(value, float) and value.is_integer():
        value = int(value)  # 3e8
    if isinstance(current, str) and isinstance(value, (bool, int, float)):
        value = text.partition("=")[2]  # output_dir=2026 is a name
    _check(cfg, text, key, value, override.is_add())
    try:
        # a whole list or node is replaced, never merged element by element
        OmegaConf.update(cfg, key, value, merge=not isinstance(value, list))
    except OmegaConfBaseException as e:
        raise ConfigError(f"Override {text!r} cannot be applied: {e}") from e


_ABSENT = object()


def _current(cfg: DictConfig, key: str) -> Any:
    """The value of a key; None where it waits for one ("???"), _ABSENT without such a key."""
    try:
        parent, _, leaf = key.rpartition(".")
        node = OmegaConf.select(cfg, parent) if parent else cfg
        if isinstance(node, DictConfig) and OmegaConf.is_missing(node, leaf):
            return None
        return OmegaConf.select(cfg, key, default=_ABSENT)
    except OmegaConfBaseException:  # an interpolation to something unset
        return None


def _check(cfg: DictConfig, text: str, key: str, value: Any, add: bool) -> None:
    """Refuse a key that the config lacks, or a value of another type, also inside a dict."""
    _refuse_alias(cfg, text, key)
    current = _current(cfg, key)
    if current is not _ABSENT:
        _check_type(text, current, value)
        if isinstance(current, DictConfig) and isinstance(value, dict):
            for name, item in value.items():
                _check(cfg, text, f"{key}.{name}", item, add)
        return
    if not add:
        raise ConfigError(
            f"Override {text!r}: the config has no key {key!r}."
            f"{_keys_near(cfg, key)} To add a key on purpose, write '+{key}=...'."
        )
    parent = key.rpartition(".")[0]
    while parent:
        above = _current(cfg, parent)
        if not (above is _ABSENT or isinstance(above, (DictConfig, ListConfig))):
            raise ConfigError(
                f"Override {text!r}: {parent!r} holds the value {above!r}; no key can be added "
                "below it."
            )
        parent = parent.rpartition(".")[0]


def _refuse_alias(cfg: DictConfig, text: str, key: str) -> None:
    """Refuse a key that leads through an interpolation: setting it would cut the node off."""
    parts = key.split(".")
    for i, part in enumerate(parts[:-1]):
        node = OmegaConf.select(cfg, ".".join(parts[:i])) if i else cfg
        if not isinstance(node, DictConfig) or part not in node:
            return
        if OmegaConf.is_interpolation(node, part):
            raw = OmegaConf.to_container(node, resolve=False)
            raise ConfigError(
                f"Override {text!r}: {'.'.join(parts[: i + 1])!r} stands for "
                f"{raw[part]}, as seen from where it is; override that key."  # type: ignore[index,call-overload]
            )


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
        return OverridesParser.create().parse_override(text)
    except HydraException as e:
        raise ConfigError(
            f"Override {text!r} cannot be parsed: {str(e).splitlines()[0]} "
            "Values with special characters need quotes: key='\"a b\"'."
        ) from e


def _check_type(text: str, current: Any, value: Any) -> None:
    """Refuse a value that is not of the type of the one it replaces."""
    if isinstance(current, (DictConfig, ListConfig)):
        if isinstance(current, DictConfig) and not isinstance(value, dict) and value is not None:
            keys = ", ".join(str(k) for k in list(current)[:8])
            raise ConfigError(
                f"Override {text!r}: that key is a group; set one of its keys: {keys}"
            )
        is_list = value is None or isinstance(value, (list, str))  # text: an architecture's
        if isinstance(current, ListConfig) and not is_list:
            raise ConfigError(
                f"Override {text!r}: expected a list (now {list(current)}), got {value!r}; a list "
                "is written [a,b]."
            )
        return
    if current is None or value is None:
        return
    if isinstance(current, str) and isinstance(value, (list, dict)) and not _is_architecture(text):
        raise ConfigError(
            f"Override {text!r}: expected one value (now {current!r}), got {value!r}."
        )
    expected = (int, float) if type(current) is float else type(current)
    # bool is an int to Python, but never what is meant
    wrong_bool = isinstance(value, bool) != isinstance(current, bool)
    text_wanted = isinstance(current, str) and isinstance(value, (int, float))
    number_wanted = isinstance(current, (bool, int, float)) and not isinstance(value, expected)
    if text_wanted or number_wanted or wrong_bool:
        raise ConfigError(
            f"Override {text!r}: expected a value of type {type(current).__name__} "
            f"(now {current!r}), got {value!r} of type {type(value).__name__}."
        )


def _is_architecture(text: str) -> bool:
    """Architectures are files, text or lists of numbers; any of them may replace another."""
    return text.partition("=")[0].rpartition(".")[2] == "architecture"


def _all_keys(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, DictConfig):
        for key in map(str, node):
            name = f"{prefix}{key}"
            yield name
            if not OmegaConf.is_missing(node, key) and not OmegaConf.is_interpolation(node, key):
                yield from _all_keys(node[key], f"{name}.")


def _keys_near(cfg: DictConfig, key: str) -> str:
    keys = list(_all_keys(cfg))
    near = difflib.get_close_matches(key, keys, n=3, cutoff=0.6)
    leaf = key.rpartition(".")[2]
    near += [k for k in keys if k.rpartition(".")[2] == leaf and k not in near][:3]
    return f" Did you mean {' or '.join(repr(k) for k in near)}?" if near else ""


def _files_near(path: str) -> str:
    folder = os.path.dirname(path) or "."
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder) or "."
    names = list(itertools.islice(_python_files(folder), 1000))
    near = difflib.get_close_matches(os.path.relpath(path), names, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _python_files(folder: str) -> Iterator[str]:
    if os.path.abspath(folder) == os.path.abspath(os.sep):
        return  # nothing of the path exists; the whole disk is no place to search
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__")))
        yield from (os.path.relpath(os.path.join(root, f)) for f in files if f.endswith(".py"))
