"""Sphinx directives that show every config key: `config-table NAME` and `config-classes`.

What a key means stands in config_keys.yaml; type and default come from the configs and from the
signatures, so that no page can name others.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from detectron2.config import get_cfg
from docutils import nodes
from docutils.statemachine import StringList
from omegaconf import DictConfig, OmegaConf
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from detnas_d2.engine import load_config
from detnas_d2.modeling import add_detnas_config

ROOT = Path(__file__).resolve().parents[1]
KEYS_FILE = ROOT / "docs" / "config_keys.yaml"
HEADER = ("key", "type", "default", "unit", "")
_REQUIRED = object()
_LONGEST = 60  # characters of a default


@dataclass(frozen=True)
class Row:
    key: str
    type: str
    default: str
    unit: str
    used: str
    text: str


@functools.cache
def sections() -> dict[str, dict[str, Any]]:
    """config_keys.yaml."""
    return yaml.safe_load(KEYS_FILE.read_text())


def rows(name: str) -> list[Row]:
    """The rows of one section.

    Raises:
        KeyError: a key that neither the configs nor the signature have; a key without text.
    """
    section = sections()[name]
    found = [_row(name, section, key, about) for key, about in section["keys"].items()]
    for key, about in section.get("optional", {}).items():
        found.append(
            Row(f"+{key}", about["type"], f"`{about['default']}`", "", *_ends(section, about))
        )
    return found


def nodes_of(section: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(FILE:KEY, value) of each place that a section's defaults come from."""
    places = section.get("from", [])
    for place in [places] if isinstance(places, str) else places:
        file, _, key = place.partition(":")
        yield place, OmegaConf.select(_config(file), key)


def signature_of(section: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a section's target that a config may set, with their defaults."""
    if "target" not in section:
        return {}
    module, _, attribute = section["target"].rpartition(".")
    parameters = inspect.signature(getattr(importlib.import_module(module), attribute)).parameters
    return {
        p.name: _REQUIRED if p.default is p.empty else p.default
        for p in parameters.values()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and p.name not in section.get("given", [])
    }


@functools.cache
def _config(file: str) -> DictConfig:
    return load_config(str(ROOT / file))


def yacs_defaults() -> dict[str, Any]:
    """MODEL.DETNAS as add_detnas_config makes it."""
    cfg = get_cfg()
    add_detnas_config(cfg)
    return dict(cfg.MODEL.DETNAS)


def _row(name: str, section: dict[str, Any], key: str, about: dict[str, Any]) -> Row:
    values = _values(name, section, key, about)
    kind = about.get("type") or _type(values[0])
    shown = list(dict.fromkeys(_shown(v) for v in values))
    return Row(key, kind, " or ".join(shown), about.get("unit", ""), *_ends(section, about))


def _ends(section: dict[str, Any], about: dict[str, Any]) -> tuple[str, str]:
    return about.get("used", section["used"]), about["text"]


def _values(name: str, section: dict[str, Any], key: str, about: dict[str, Any]) -> list[Any]:
    if name == "yacs":
        return [yacs_defaults()[key]]
    found = []
    for _, node in nodes_of(section):
        parent, _, leaf = key.rpartition(".")
        at = OmegaConf.select(node, parent) if parent else node
        if isinstance(at, DictConfig) and leaf in at:
            found.append(OmegaConf.to_container(at, resolve=False)[leaf])
    if not found and about.get("optional"):
        return [about["default"]]
    if not found:
        found = [signature_of(section)[key]]
    return found


def _type(value: Any) -> str:
    return "list" if isinstance(value, (list, tuple)) else type(value).__name__


def _shown(value: Any) -> str:
    if value is _REQUIRED:
        return "required"
    if isinstance(value, dict):
        return f"{target_name(value).rpartition('.')[2]}(…)" if "_target_" in value else "group"
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        return ", ".join(_shown(v) for v in value)
    text = "null" if value is None else f"{value}" if value != "" else "''"
    if isinstance(value, (list, tuple)):
        text = f"[{', '.join(_number(v) for v in value)}]"
    return f"`{text[:_LONGEST]}`"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"


def target_name(node: dict[str, Any]) -> str:
    """The dotted name of what a LazyConfig node makes."""
    target = node["_target_"]
    return target if isinstance(target, str) else f"{target.__module__}.{target.__qualname__}"


def foreign_classes() -> list[tuple[str, str]]:
    """(class, places) of all that our common configs make of other libraries."""
    found: dict[str, list[str]] = {}
    for file in sorted((ROOT / "configs" / "common").rglob("*.py")):
        name = str(file.relative_to(ROOT))
        for path, node in made_nodes(OmegaConf.to_container(_config(name), resolve=False), ""):
            target = target_name(node)
            if not target.startswith("detnas_d2."):
                found.setdefault(target, []).append(path)
    return sorted((t, ", ".join(f"`{p}`" for p in sorted(set(ps))[:3])) for t, ps in found.items())


def made_nodes(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, list):
        for item in value:
            yield from made_nodes(item, f"{path}[]")
    if isinstance(value, dict):
        if "_target_" in value:
            yield path, value
        for key, item in value.items():
            yield from made_nodes(item, f"{path}.{key}" if path else str(key))


def _markdown(header: tuple[str, ...], table: list[tuple[str, ...]]) -> list[str]:
    lines = [header, tuple("---" for _ in header), *table]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines]


class ConfigTable(SphinxDirective):
    """The keys of one section of config_keys.yaml."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(KEYS_FILE))
        name = self.arguments[0]
        section = sections()[name]
        table = [
            (f"`{row.key}`", row.type, row.default, row.unit, _with_use(row, section))
            for row in rows(name)
        ]
        return parsed(self, [_intro(section), "", *_markdown(HEADER, table)])


def _intro(section: dict[str, Any]) -> str:
    """Where the keys stand, what takes them, and which programs use them."""
    parts = [f"At {section['at']}"] if "at" in section else []
    if "target" in section:
        role = "class" if section["target"].rpartition(".")[2][0].isupper() else "func"
        parts.append(f"{{py:{role}}}`{section['target']}`")
    return ". ".join([*parts, f"Used in: {section['used']}."])


def _with_use(row: Row, section: dict[str, Any]) -> str:
    """What the key means, and who uses it where that is said of the key alone."""
    return row.text + (f" ({row.used})" if row.used != section["used"] else "")


class ConfigClasses(SphinxDirective):
    """The classes of other libraries in our configs."""

    def run(self) -> list[nodes.Node]:
        table = [(f"`{target}`", places) for target, places in foreign_classes()]
        return parsed(self, _markdown(("class", "at"), table))


def parsed(directive: SphinxDirective, lines: list[str]) -> list[nodes.Node]:
    """The nodes of some lines of Markdown."""
    container = nodes.container()
    directive.state.nested_parse(StringList(lines, source=str(KEYS_FILE)), 0, container)
    return container.children


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("config-table", ConfigTable)
    app.add_directive("config-classes", ConfigClasses)
    return {"parallel_read_safe": True}
