"""Files from elsewhere are data: no source of this project runs what a file holds.

Ruff sees pickles, eval and exec and YAML's other loaders (the rules that begin with S in
pyproject.toml); here is what it does not know.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TREES = ("detnas_d2", "tools", "projects", "benchmarks", "configs")
# Detectron2's readers run what YAML names; these files use them for .py, where a user trusts the
# YAML, and with allow_unsafe=False
UNSAFE_READERS = ("LazyConfig.load", ".merge_from_file")
READERS = {"trust.py", "space_file.py", "yacs_file.py", "own_settings.py"}
OWN = ("tools", "benchmarks", "configs")  # which read the project's own files
SERIALIZERS = {"joblib", "cloudpickle", "dill", "shelve", "marshal"}


def complaints(tree: ast.AST, may_read: bool) -> Iterator[str]:
    """What in a source could run the content of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name.endswith(UNSAFE_READERS) and not may_read:
                yield name
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            if "weights_only=True" not in map(ast.unparse, node.keywords):
                yield "torch.load without weights_only=True"
        elif isinstance(node, ast.keyword):
            if ast.unparse(node) in ("allow_pickle=True", "weights_only=False"):
                yield ast.unparse(node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {getattr(node, "module", None), *(a.name for a in node.names)}
            yield from names & SERIALIZERS
            if names & {"torch", "pickle"} and isinstance(node, ast.ImportFrom):
                yield from {"load", "loads", "Unpickler", "*"} & names


def test_no_source_runs_what_it_reads():
    files = [*ROOT.glob("*.py"), *(p for tree in TREES for p in (ROOT / tree).rglob("*.py"))]
    assert len(files) > 100, "few sources found: is this the repository's root?"
    found = {}
    for path in files:
        may_read = path.name in READERS or path.relative_to(ROOT).parts[0] in OWN
        found[path] = list(complaints(ast.parse(path.read_text(encoding="utf-8")), may_read))
    assert {path: what for path, what in found.items() if what} == {}
