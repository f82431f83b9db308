"""Search spaces out of LazyConfig files, for commands."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .own_modules import find_own_modules, why_not_read
from .space import SPACES, SearchSpace, SpaceError, get_space, resolve_space
from .space.cost import checked_size
from .trust import TrustError, add_trust, check_targets, is_code, read_config, values
from .trusted import SPACES as LISTED


def load_space(value: str, *, trust: bool = False) -> SearchSpace:
    """
    A space by its name, or out of a config file (.py), which is run, or a run's config.yaml: its
    key `space`, else the first of that name anywhere in its key `model`. Either is a name, a
    SearchSpace or a node that makes one.

    Args:
        trust: YAML may name blocks of one's own, whose code is run.

    Raises:
        TrustError: YAML that names such, without `trust`.
        SpaceError: there is none of this name, and no such file or none in it.
    """
    if value in SPACES or not os.path.isfile(value):
        try:
            return get_space(value)
        except SpaceError as error:
            raise SpaceError(f"{error} (And there is no config file {value!r}.)") from None
    try:
        from detectron2.config import instantiate  # here, for a space by its name needs numpy alone

        for node in _found(value, trust):
            if not is_code(value, trust):
                check_targets(node, LISTED, value)
            return resolve_space(instantiate(node))
    except TrustError:
        raise
    except Exception as error:  # a config runs code of its own, which can raise anything
        raise SpaceError(f"{value}: {why_not_read(value, error)}") from None
    raise SpaceError(f"{value} has no key 'space', at its top or inside of 'model'")


def _found(path: str, trust: bool) -> Iterator[Any]:
    if is_code(path, trust):
        from detectron2.config import LazyConfig

        find_own_modules()
        try:  # by its name, since load() without one passes over all but dicts and lists
            return iter([LazyConfig.load(path, "space")])
        except KeyError:
            pass
    cfg = read_config(path, trust=trust)
    inside = values({"space": cfg.space} if "space" in cfg else cfg.get("model"))
    return (node["space"] for _, node in inside if isinstance(node, Mapping) and "space" in node)


def add_space(parser: ArgumentParser) -> ArgumentParser:
    """Give a parser SPACE, --input-size and --trust, which `space_and_size` reads; returns it."""
    parser.add_argument(
        "space",
        metavar="SPACE",
        help=f"{', '.join(SPACES)}, or a LazyConfig file (.py), or a run's config.yaml",
    )
    parser.add_argument(
        "--input-size",
        metavar=("H", "W"),
        nargs="+",
        type=int,
        help="height and width in pixels, or one number for both (default: search.input_size of "
        "the config file, or else 224)",
    )
    return add_trust(parser)


def space_and_size(args: Namespace) -> tuple[SearchSpace, tuple[int, int]]:
    """The space, and (height, width) in pixels. Raises SpaceError; else as `load_space`."""
    space, size = load_space(args.space, trust=args.trust), args.input_size
    if not size and args.space not in SPACES:
        search = read_config(args.space, trust=args.trust).get("search")
        size = search.get("input_size") if isinstance(search, Mapping) else None
    size = size or [224]
    alone = isinstance(size, Sequence) and len(size) == 1
    return space, checked_size(list(size) * 2 if alone else size)
