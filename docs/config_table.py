"""Sphinx directive `config-table CLASS`: the keys of a dataclass of detnas_d2.settings."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from detnas_d2 import settings

_ENTRY = re.compile(r"^(\w+): (.+(?:\n .+)*)", re.M)


def rows(schema: type, prefix: str = "") -> Iterator[tuple[str, str, str, str, str]]:
    """Key, type, default, unit and meaning of each setting; KeyError for one without meaning."""
    _, _, attributes = (inspect.getdoc(schema) or "").partition("Attributes:\n")
    meanings = dict(_ENTRY.findall(textwrap.dedent(attributes)))
    for f in fields(schema):
        if is_dataclass(f.default):
            yield from rows(type(f.default), f"{prefix}{f.name}.")
            continue
        kind = "node" if f.default is MISSING else str(f.type).replace(" | None", " or null")
        default = "" if f.default is MISSING else f"`{_shown(f.default)}`"
        meaning = " ".join(meanings[f.name].split())
        yield f"`{prefix}{f.name}`", kind, default, f.metadata["rule"].unit, meaning


def _shown(value: Any) -> str:
    return "null" if value is None else f"{list(value) if isinstance(value, tuple) else value!r}"


class ConfigTable(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(settings.__file__)
        header = ("key", "type", "default", "unit", ""), ("---",) * 5
        table = [*header, *rows(getattr(settings, self.arguments[0]))]
        lines = StringList([f"| {' | '.join(row)} |" for row in table], source=settings.__file__)
        container = nodes.container()
        self.state.nested_parse(lines, 0, container)
        return container.children


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("config-table", ConfigTable)
    return {"parallel_read_safe": True}
