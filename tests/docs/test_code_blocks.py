"""The Python blocks of the pages run, in their order, from the repository's root."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
import torch
from detectron2.data import DatasetCatalog
from pages import PAGES, ROOT, name_of
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

from detnas_d2.data import unregister_dataset

SYBIL = Sybil(parsers=[PythonCodeBlockParser()], path=str(ROOT), pattern="*.md")
GIVEN = {"README.md": {"images": torch.zeros(1, 3, 64, 64)}}  # what a user's program has


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A folder that looks like the repository's root, and into which blocks may write."""
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") and entry.name not in ("output", "datasets", "build"):
            (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path / "datasets"))
    known = set(DatasetCatalog)
    yield
    for name in set(DatasetCatalog) - known:
        unregister_dataset(name)


@pytest.mark.parametrize("page", [p for p in PAGES if "```python" in p.read_text()], ids=name_of)
def test_python_blocks(page: Path, repository, monkeypatch):
    document = SYBIL.parse(page)
    module = types.ModuleType(f"page_{page.stem}")  # classes of a page have to be importable
    monkeypatch.setitem(sys.modules, module.__name__, module)
    document.namespace = vars(module)
    document.namespace.update(GIVEN.get(name_of(page), {}))
    assert (examples := list(document.examples()))
    for example in examples:
        example.evaluate()
