"""Files from elsewhere are data: no source of this project runs what a file holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TREES = ("detnas_d2", "tools", "projects", "benchmarks", "configs")

SERIALIZERS = {"pickle", "_pickle", "dill", "marshal", "shelve", "cloudpickle", "joblib"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
SAFE_YAML = {"safe_load", "safe_load_all", "safe_dump", "safe_dump_all", "dump", "YAMLError"}
SAFE_YAML |= {"SafeLoader", "Node", "SequenceNode"}
ALLOWED = {"pickle.UnpicklingError"}  # what weights_only raises
# Detectron2's readers run what YAML names; these files use them for .py, where a user trusts the
# YAML, and with allow_unsafe=False
UNSAFE_READERS = {"LazyConfig.load", "merge_from_file"}
READERS = {"trust.py", "space_file.py", "yacs_file.py", "own_settings.py", "own.py"}
OWN = ("tools", "benchmarks", "configs")  # which read the project's own files


def sources() -> list[Path]:
    files = [*ROOT.glob("*.py"), *(p for tree in TREES for p in (ROOT / tree).rglob("*.py"))]
    assert len(files) > 150, "few sources found: is this the repository's root?"
    return files


def complaints(tree: ast.AST) -> Iterator[str]:
    """What in a source could run the content of a file."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    names = {}  # local name -> what it stands for
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({(a.asname or a.name.partition(".")[0]): a.name for a in node.names})
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
    for name, full in names.items():
        package = full.partition(".")[0]
        if package in SERIALIZERS - {"pickle"} or (full.startswith("pickle.") and name == "*"):
            yield f"import of {full}"
    for node in ast.walk(tree):
        parent = parents.get(node)
        if isinstance(node, ast.Attribute):
            whole = ast.unparse(node)
            yield from (reader for reader in UNSAFE_READERS if f".{whole}".endswith(f".{reader}"))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            base = names.get(node.value.id, "")
            yield from _use(f"{base}.{node.attr}" if base else "", parent, node)
        elif isinstance(node, ast.Name):
            if node.id in BUILTINS and node.id not in names:
                yield node.id
            whole = names.get(node.id, "")
            if not (isinstance(parent, ast.Attribute) and parent.value is node):
                yield from _use(whole, parent, node)
        elif isinstance(node, ast.keyword):
            text = f"{node.arg}={ast.unparse(node.value)}"
            if text in ("allow_pickle=True", "weights_only=False"):
                yield text


def _use(full: str, parent: ast.AST | None, node: ast.AST) -> Iterator[str]:
    """Complaints about one use of an imported name, `full` being its dotted name."""
    package, _, rest = full.partition(".")
    if package in SERIALIZERS and full not in ALLOWED:
        yield full
    if package == "yaml" and rest not in SAFE_YAML:
        yield full
    if full == "torch.load":
        keywords = parent.keywords if isinstance(parent, ast.Call) and parent.func is node else []
        safe = [k for k in keywords if k.arg == "weights_only"]
        if not (safe and isinstance(safe[0].value, ast.Constant) and safe[0].value.value is True):
            yield "torch.load without weights_only=True"
    if full in ("torch.package", "torch.jit.load", "pandas.read_pickle"):
        yield full


def test_no_source_runs_what_it_reads():
    found = [
        f"{path.relative_to(ROOT)}: {complaint}"
        for path in sources()
        for complaint in complaints(ast.parse(path.read_text(encoding="utf-8")))
        if not (complaint in UNSAFE_READERS and may_read(path.relative_to(ROOT)))
    ]
    assert found == []


def may_read(path: Path) -> bool:
    return path.name in READERS or path.parts[0] in OWN


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(f)",
        "import pickle as p\np.loads(b'')",
        "from pickle import load\nload(f)",
        "from pickle import *",
        "import pickle\nloads = pickle.loads",
        "import pickle\nread(pickle)",
        "import dill",
        "from joblib import load",
        "def f():\n    import marshal",
        "import shelve as s",
        "eval('1')",
        "run = exec",
        "compile(text, '', 'exec')",
        "__import__(name)",
        "import torch\ntorch.load(f)",
        "import torch\ntorch.load(f, weights_only=False)",
        "import torch\ntorch.load(f, weights_only=flag)",
        "import torch\nmap(torch.load, files)",
        "from torch import load\nload(f)",
        "load(f, weights_only=False)",
        "import yaml\nyaml.load(f)",
        "import yaml\nyaml.unsafe_load(f)",
        "from yaml import load\nload(f, Loader=L)",
        "np.load(f, allow_pickle=True)",
        "import pandas as pd\npd.read_pickle(f)",
        "from detectron2.config import LazyConfig\nLazyConfig.load(f)",
        "from detectron2 import config\nread = config.LazyConfig.load",
        "cfg.merge_from_file(f)",
    ],
)
def test_what_would_run_a_file_is_seen(source):
    assert list(complaints(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\ntry:\n    f()\nexcept (OSError, pickle.UnpicklingError):\n    pass",
        "import torch\ntorch.load(f, map_location='cpu', weights_only=True)",
        "import re\nre.compile('x')\nmodel.eval()",
        "import yaml\nyaml.safe_load(f)",
        "import numpy as np\nnp.load(f)",
        "import json\njson.load(f)",
    ],
)
def test_what_only_reads_is_left_alone(source):
    assert list(complaints(ast.parse(source))) == []
