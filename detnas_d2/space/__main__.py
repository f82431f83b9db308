"""Prints what an architecture costs: python -m detnas_d2.space SPACE ARCHITECTURE."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from . import SPACES, Architecture, CostTable, SearchSpace, SpaceError, get_space, resolve_space
from .cost import FLOPS_CONVENTION, PARAMS_CONVENTION


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, exit status 2."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}\n")


def main(argv: Sequence[str] | None = None) -> int:
    parser = _Parser(
        prog="python -m detnas_d2.space",
        description="Prints multiply-adds and parameters of an architecture, by stage.",
    )
    parser.add_argument(
        "space", metavar="SPACE", help=f"{', '.join(SPACES)}, or a LazyConfig file (.py)"
    )
    parser.add_argument(
        "architecture",
        metavar="ARCHITECTURE",
        help="choices as 2,1,2,0,... from the first block on, or a best_architecture.json",
    )
    parser.add_argument(
        "--input-size",
        metavar=("H", "W"),
        nargs="+",
        type=int,
        default=[224],
        help="height and width in pixels, or one number for both (default: 224)",
    )
    args = parser.parse_args(argv)
    size = args.input_size * 2 if len(args.input_size) == 1 else args.input_size
    try:
        space = _load_space(args.space)
        architecture = Architecture.parse(args.architecture, space)
        cost = CostTable(space, size)
    except ValueError as error:
        parser.error(str(error))
    print(_report(architecture, cost))
    return 0


def _report(architecture: Architecture, cost: CostTable) -> str:
    space = cost.space
    names: dict[str, list[str]] = {"stem": [f"3x3 conv, {space.stem_channels} channels"]}
    for block, choice in zip(space.blocks, architecture, strict=True):
        stage = names.setdefault(space.stage_names[block.stage], [])
        stage.append(space.choices[choice].name)
    rows = [
        (name, f"{flops:,}", f"{params:,}", " ".join(names[name]))
        for name, flops, params in cost.by_stage(architecture)
    ]
    rows.insert(0, ("stage", "multiply-adds", "parameters", "choices"))
    rows.append(("total", f"{cost.flops(architecture):,}", f"{cost.params(architecture):,}", ""))
    height, width = cost.input_size
    return "\n".join(
        [
            f"space {space.name}, architecture {architecture}, input {height}x{width}",
            "",
            *(f"{a:<6}{b:>16}{c:>14}  {d}".rstrip() for a, b, c, d in rows),
            "",
            f"multiply-adds: {FLOPS_CONVENTION}.",
            f"parameters: {PARAMS_CONVENTION}.",
        ]
    )


def _load_space(value: str) -> SearchSpace:
    """A space by its name, or out of a config file."""
    if value not in SPACES and (value.endswith(".py") or os.path.exists(value)):
        return _read_config(value)
    try:
        return get_space(value)
    except SpaceError as error:
        raise SpaceError(f"{error}, and no config file {value!r}") from None


def _read_config(path: str) -> SearchSpace:
    """
    The space of a LazyConfig file: its key `space`, else the first node of that name anywhere in
    its key `model`. Either is a name, a SearchSpace or a node that makes one.
    """
    if not path.endswith(".py"):
        raise SpaceError(f"{path!r} isn't a LazyConfig file; expected a file that ends with .py")
    if not os.path.isfile(path):
        raise SpaceError(f"there is no config file {path!r}")
    try:
        from detectron2.config import LazyConfig, instantiate
    except ImportError as error:
        raise SpaceError(
            f"a config file needs Detectron2 ({error}); install it by tools/install_detectron2.py"
        ) from None
    silent = logging.NullHandler()  # instantiate() logs what it also raises
    logging.getLogger("detectron2").addHandler(silent)
    try:
        try:  # by its name, since load() without one passes over all but dicts and lists
            found = iter([LazyConfig.load(path, "space")])
        except KeyError:
            found = _nodes(LazyConfig.load(path).get("model"))
        for node in found:
            return resolve_space(instantiate(node))
    except Exception as error:  # a config runs code of its own, which can raise anything
        raise SpaceError(f"{path}: {type(error).__name__}: {error}") from None
    finally:
        logging.getLogger("detectron2").removeHandler(silent)
    raise SpaceError(f"{path} has no key 'space', at its top or inside of 'model'")


def _nodes(node: Any) -> Iterator[Any]:
    """What has the key `space`, outer nodes before inner ones."""
    if isinstance(node, Mapping):
        if "space" in node:
            yield node["space"]
        node = list(node.values())
    if isinstance(node, Sequence) and not isinstance(node, (str, bytes)):
        for item in node:
            yield from _nodes(item)


if __name__ == "__main__":
    sys.exit(main())
