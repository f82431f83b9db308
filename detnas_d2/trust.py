"""Config files from elsewhere: YAML is read as data, and makes only what is listed here.

A .py config is a program, and reading it runs it. A YAML file, as every run leaves one
(config.yaml), may come with someone else's folder: its tags make no objects, its `_target_`s are
names of the lists in trusted.py, letter by letter, so that no name leads to an import, and its
interpolations read the file alone. Only the user lifts that, by ``--trust``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

import yaml

from .errors import DetNASError
from .trusted import ALL, spellings

_Parser = TypeVar("_Parser", bound=argparse.ArgumentParser)


# Arguments that lead elsewhere: a yacs config in a node, whose registered builders read files, and
# files that Detectron2 unpickles.
_REFUSED = ("cfg", "proposal_files")
_MOST = 100_000  # values of a config; the largest of this project has 1,000
_PYTHON = "tag:yaml.org,2002:python/"
_SHAPE = ("channels", "height", "width", "stride")
_RESOLVER = re.compile(r"(?<!\\)(?:\\\\)*\$\{.*:", re.DOTALL)
# in a list escaped ones too: Detectron2's instantiate makes lists anew, without the escape
_RESOLVER_IN_LIST = re.compile(r"\$\{.*:", re.DOTALL)
HOW = "if you trust whoever wrote it, give --trust (in Python trust=True)."


class TrustError(DetNASError):
    """A file from elsewhere would have code run that its reader has not agreed to."""


def add_trust(parser: _Parser) -> _Parser:
    """Give a parser the option ``--trust``; returns the parser."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run whatever the config names (own blocks): you trust whoever wrote it",
    )
    return parser


def is_code(path: str, trust: bool) -> bool:
    """Whether reading a config file may run anything: a .py always, YAML where it is trusted."""
    return trust or not path.endswith((".yaml", ".yml"))


def read_config(path: str, *, trust: bool = False, also: frozenset[str] = frozenset()) -> Any:
    """A LazyConfig file as ``LazyConfig.load`` reads it, if that may be.

    Args:
        trust: the user trusts whoever wrote it.
        also: names that it may make besides ALL, as `called_by` gives them.

    Raises:
        TrustError: YAML that would run something else; it names what.
        Exception: whatever a .py config raises; yaml.YAMLError, OSError, ValueError.
    """
    if is_code(path, trust):
        from detectron2.config import LazyConfig

        return LazyConfig.load(path)
    from omegaconf import OmegaConf  # here, for a space by its name needs numpy alone

    plain = read_yaml(path)
    for key, value in values(plain):
        resolver = _RESOLVER_IN_LIST if key.endswith("]") else _RESOLVER
        if isinstance(value, str) and resolver.search(value):
            raise TrustError(
                f"{path} has {value!r} (at {key}), and a file from elsewhere may interpolate its "
                f"own keys alone; {HOW}"
            )
    check_targets(plain, ALL | also, path)
    return OmegaConf.create(plain, flags={"allow_objects": True})


def read_yaml(path: str) -> dict[Any, Any]:
    """A config as plain containers.

    Raises:
        TrustError: a tag that makes Python's objects; aliases that multiply without end.
        ValueError: it holds no mapping.
        yaml.YAMLError, OSError, UnicodeDecodeError: it can't be read.
    """
    with open(path, encoding="utf-8") as file:
        loader = _Loader(file)
        try:
            plain = loader.get_single_data()
            for count, _ in enumerate(values(plain)):
                if count > _MOST:
                    raise TrustError(f"{path} holds more than {_MOST:,} values; no config does.")
        except RecursionError:
            raise TrustError(f"{path} holds itself, or is nested without end.") from None
        finally:
            loader.dispose()
    if not isinstance(plain, dict):  # omegaconf would parse a text once more
        raise ValueError(f"{path} holds no config; expected keys and values.")
    return plain


def check_targets(node: Any, allowed: frozenset[str], source: str) -> None:
    """Refuse a node that would make anything else.

    Args:
        node: of a config, resolved where it is one of omegaconf's, or plain containers.
        allowed: dotted names.
        source: the file, for the message.

    Raises:
        TrustError: naming the first ``_target_`` that is none of these.
        OmegaConfBaseException: an interpolation that can't be resolved.
    """
    from omegaconf import Container, OmegaConf

    plain = OmegaConf.to_container(node, resolve=True) if isinstance(node, Container) else node
    for key, value, target in calls(plain):
        if not (isinstance(target, str) and target in allowed):
            raise TrustError(
                f"{source} calls {target!r} (at {key or 'its top'}), which is not among what a "
                f"file from elsewhere may call here; {HOW}"
            )
        for argument in _REFUSED:
            if value.get(argument) is not None:
                raise TrustError(
                    f"{source} gives {target} the argument {argument} (at {key or 'its top'}), "
                    f"which a file from elsewhere may not; {HOW}"
                )


def called_by(cfg: Any) -> frozenset[str]:
    """The names that a config calls, which its own dump may call too."""
    from omegaconf import OmegaConf

    found: frozenset[str] = frozenset()
    for _, _, target in calls(OmegaConf.to_container(cfg, resolve=False)):
        if isinstance(target, str):
            found |= {target}
        elif hasattr(target, "__qualname__"):
            found |= spellings(f"{target.__module__} {target.__qualname__}")
    return found


def calls(node: Any) -> Iterator[tuple[str, Mapping[Any, Any], Any]]:
    """(dotted key, node, its ``_target_``) of all that a config would make, at any depth."""
    for key, value in values(node):
        if isinstance(value, Mapping) and "_target_" in value:
            yield key, value, value["_target_"]


def values(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """All values at any depth, and what they are in, with their dotted keys."""
    yield key, node
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from values(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, Collection) and not isinstance(node, (str, bytes)):
        for number, value in enumerate(node):
            yield from values(value, f"{key}[{number}]")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe one, which also reads the two harmless objects that Detectron2's dumps hold."""


def _refuse_tag(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    raise TrustError(
        f"{loader.name}, line {node.start_mark.line + 1}, has the tag !!python/{suffix}, which "
        f"makes an object of Python's, and a file from elsewhere may make none; {HOW}"
    )


def _shape_spec(loader: _Loader, node: yaml.Node) -> dict[str, Any]:
    """A ShapeSpec (a tuple in Detectron2 0.6, a dataclass at its head) as a node that makes it."""
    if isinstance(node, yaml.SequenceNode):
        given = dict(zip(_SHAPE, loader.construct_sequence(node), strict=False))
    else:
        given = loader.construct_mapping(node)
    return {"_target_": "detectron2.layers.ShapeSpec", **given}


_Loader.add_multi_constructor(_PYTHON, _refuse_tag)
_Loader.add_constructor(f"{_PYTHON}tuple", yaml.SafeLoader.construct_yaml_seq)
for _kind in ("object", "object/new"):
    _Loader.add_constructor(f"{_PYTHON}{_kind}:detectron2.layers.shape_spec.ShapeSpec", _shape_spec)
