"""YAML files of yacs projects, which may come from elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from detectron2.config import CfgNode

from ..space import SPACES
from ..space_file import load_space
from ..trust import HOW, TrustError, read_yaml


def merge_yacs_file(cfg: CfgNode, path: str | os.PathLike[str], *, trust: bool = False) -> None:
    """``cfg.merge_from_file``, without running anything of the file or of its ``_BASE_``s.

    Registered builders are all that such files can name, with two exceptions: a file for
    MODEL.DETNAS.SPACE, and files of proposals, which Detectron2 unpickles.

    Args:
        cfg: of `detnas_d2.modeling.get_cfg`.
        path: the YAML file.
        trust: run what it names.

    Raises:
        TrustError: it would run something, and `trust` is not given.
        SpaceError: no such space.
        KeyError, ValueError, AssertionError, OSError, yaml.YAMLError: as ``merge_from_file``.
    """
    if not trust:
        _read(Path(path), set())
    cfg.merge_from_file(str(path), allow_unsafe=trust)
    if trust:
        return
    space = cfg.MODEL.DETNAS.SPACE
    if str(space).endswith(".py") or "://" in str(space):
        raise TrustError(
            f"{path} has MODEL.DETNAS.SPACE {space!r}, and a file from elsewhere may name no "
            f"program and fetch nothing; {HOW}"
        )
    if space not in SPACES:
        load_space(space)
    if cfg.MODEL.LOAD_PROPOSALS:
        raise TrustError(
            f"{path} sets MODEL.LOAD_PROPOSALS, whose files Detectron2 unpickles, which runs what "
            f"is in them; {HOW}"
        )


def _read(path: Path, seen: set[Path]) -> None:
    """Read a file and its ``_BASE_``s as data; they are found as fvcore finds them.

    Raises:
        TrustError: as `read_yaml`; a base that lies in the network, or that has been read.
        ValueError: a base that is no name.
    """
    if path.resolve() in seen:
        raise TrustError(f"{path} is the _BASE_ of more than one file, or its own.")
    seen.add(path.resolve())
    bases = read_yaml(str(path)).get("_BASE_", [])
    for base in bases if isinstance(bases, list) else [bases]:
        if not isinstance(base, str):
            raise ValueError(f"{path} has the _BASE_ {base!r}; expected the name of a file.")
        if "://" in base:
            raise TrustError(
                f"{path} has the _BASE_ {base!r}, and a file from elsewhere may fetch none; {HOW}"
            )
        _read(path.parent / os.path.expanduser(base), seen)
