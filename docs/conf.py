"""Sphinx's settings: `make docs`. Nothing is fetched, neither here nor by the pages' readers."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

DOCS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(DOCS), DOCS]  # detnas_d2, and config_table beside this file

project = "DetNAS for Detectron2"
copyright = "the authors of DetNAS for Detectron2, Apache License 2.0"
html_theme = "furo"
html_title = project
html_show_sourcelink = False
html_static_path = ["static"]
html_css_files = ["wide.css"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "config_table"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

autodoc_typehints = "none"  # the docstrings say what matters
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
add_module_names = False
toc_object_entries_show_parents = "hide"

# [text](../FILE#anchor), a link to a file of the repository that is no page
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#\s]+)(?:#[^)\s]*)?\)")


def name_files(app: Sphinx, page: str, source: list[str]) -> None:
    """Pages are read in the repository, where links to its files work, and as HTML, anywhere: there
    the file is named instead."""

    def named(link: re.Match[str]) -> str:
        text, file = link.groups()
        return f"`{file}`" if text.strip("`") == file.rstrip("/") else f"{text} (`{file}`)"

    source[0] = _OUTSIDE.sub(named, source[0])


def find_name(app: Sphinx, env: Any, node: nodes.Element, content: nodes.Element) -> Any:
    """Names that are documented under their package's: detnas_d2.space.choices.Choice.

    Docstrings and types also name what is documented elsewhere or nowhere: plain text on that page,
    while a page that is written by hand has to name what there is.
    """
    if node.get("refdomain") != "py":
        return None
    found, (first, *rest) = None, node["reftarget"].split(".")
    if first == "detnas_d2" and len(rest) > 2:
        public = ".".join([first, rest[0], *rest[2:]])
        domain, place = env.get_domain("py"), node["refdoc"]
        found = domain.resolve_xref(env, place, app.builder, node["reftype"], public, node, content)
    return found or (content if node["refdoc"] == "api" else None)


def setup(app: Sphinx) -> None:
    app.connect("source-read", name_files)
    app.connect("missing-reference", find_name)
