"""YAML files of yacs projects, which may come from elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from detectron2.config import CfgNode

from ..space import SPACES
from ..space.config_file import load_space
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
        _read(Path(path), ())
    cfg.merge_from_file(str(path), allow_unsafe=trust)
    if trust:
        return
    space = cfg.MODEL.DETNAS.SPACE
    if str(space).endswith(".py"):
        raise TrustError(
            f"{path} names a program as MODEL.DETNAS.SPACE, {space!r}, which a file from elsewhere "
            f"may not; {HOW}"
        )
    if space not in SPACES:
        load_space(space)
    if cfg.MODEL.LOAD_PROPOSALS:
        raise TrustError(
            f"{path} sets MODEL.LOAD_PROPOSALS, whose files Detectron2 unpickles, which runs what "
            f"is in them; {HOW}"
        )


def _read(path: Path, above: tuple[Path, ...]) -> None:
    """Read a file and its ``_BASE_``s as data; they are found as fvcore finds them.

    Raises:
        TrustError: as `read_yaml`; one that lies in the network, or is its own base.
    """
    if path in above:
        raise TrustError(f"{path} is its own _BASE_.")
    bases = read_yaml(str(path)).get("_BASE_", [])
    for base in [bases] if isinstance(bases, str) else bases:
        if "://" in base:
            raise TrustError(
                f"{path} has the _BASE_ {base!r}, and a file from elsewhere may fetch none; {HOW}"
            )
        _read(path.parent / Path(base).expanduser(), (*above, path))
