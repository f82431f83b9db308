"""Search spaces out of LazyConfig files, for commands."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .own_modules import find_own_modules, why_not_read
from .space import SPACES, SearchSpace, SpaceError, get_space, resolve_space
from .trust import TrustError, check_targets, is_code, read_config
from .trusted import SPACES as LISTED

_ENDINGS = (".py", ".yaml")


def load_space(value: str, *, trust: bool = False) -> SearchSpace:
    """
    A space by its name, or out of a config file (.py), which is run, or a run's config.yaml.

    Args:
        trust: YAML may name blocks of one's own, whose code is run.

    Raises:
        TrustError: YAML that names such, without `trust`.
        SpaceError: there is none of this name, and no such file or none in it.
    """
    if value not in SPACES and (value.endswith(".py") or os.path.exists(value)):
        return _read_config(value, trust)
    try:
        return get_space(value)
    except SpaceError as error:
        raise SpaceError(f"{error}, and no config file {value!r}") from None


def _read_config(path: str, trust: bool) -> SearchSpace:
    """
    The space of a LazyConfig file: its key `space`, else the first node of that name anywhere in
    its key `model`. Either is a name, a SearchSpace or a node that makes one.
    """
    if not path.endswith(_ENDINGS):
        raise SpaceError(
            f"{path!r} isn't a LazyConfig file; expected a file that ends with .py or .yaml"
        )
    if not os.path.isfile(path):
        raise SpaceError(f"there is no config file {path!r}")
    try:
        from detectron2.config import instantiate
    except ImportError as error:
        raise SpaceError(
            f"a config file needs Detectron2 ({error}); install it by tools/install_detectron2.py"
        ) from None
    silent = logging.NullHandler()  # instantiate() logs what it also raises
    logging.getLogger("detectron2").addHandler(silent)
    try:
        for node in _found(path, trust):
            if not is_code(path, trust):
                check_targets(node, LISTED, path)
            return resolve_space(instantiate(node))
    except TrustError:
        raise
    except Exception as error:  # a config runs code of its own, which can raise anything
        raise SpaceError(f"{path}: {why_not_read(path, error)}") from None
    finally:
        logging.getLogger("detectron2").removeHandler(silent)
    raise SpaceError(f"{path} has no key 'space', at its top or inside of 'model'")


def _found(path: str, trust: bool) -> Iterator[Any]:
    if is_code(path, trust):
        from detectron2.config import LazyConfig

        find_own_modules()
        try:  # by its name, since load() without one passes over all but dicts and lists
            return iter([LazyConfig.load(path, "space")])
        except KeyError:
            pass
    cfg = read_config(path, trust=trust)
    return _nodes({"space": cfg.space} if "space" in cfg else cfg.get("model"))


def configured_input_size(value: str, *, trust: bool = False) -> tuple[int, int] | None:
    """The `search.input_size` (height, width) of a config file that `load_space` can read.

    None for the name of a space, and where the config has none.
    """
    if value in SPACES or not os.path.isfile(value):
        return None
    search = read_config(value, trust=trust).get("search")
    size = search.get("input_size") if isinstance(search, Mapping) else None
    return tuple(size) if isinstance(size, Sequence) and len(size) == 2 else None


def _nodes(node: Any) -> Iterator[Any]:
    """What has the key `space`, outer nodes before inner ones."""
    if isinstance(node, Mapping):
        if "space" in node:
            yield node["space"]
        node = list(node.values())
    if isinstance(node, Sequence) and not isinstance(node, (str, bytes)):
        for item in node:
            yield from _nodes(item)
