"""The direction of imports between the rooms of detnas_d2, and no circles between its modules."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "detnas_d2"

# What each room may import besides itself. These are files that all may use.
_FREE = {"commands", "durations", "errors", "files", "own_modules", "phases", "rules", "settings"}
_FREE |= {"space_file", "trust", "trusted"}
MAY_IMPORT = {
    "errors": set(),
    "durations": set(),
    "files": set(),
    "commands": {"errors"},
    "trust": {"errors", "trusted"},
    "trusted": set(),
    "own_modules": {"trust"},
    "phases": set(),
    "rules": {"errors"},
    "settings": {"rules"},
    "space_file": _FREE | {"space"},
    "space": _FREE,
    "modeling": _FREE | {"space"},
    "data": _FREE | {"space"},
    "engine": _FREE | {"space", "modeling", "data"},
    "steps": _FREE | {"space", "engine", "search", "driver"},
    "evaluation": _FREE | {"space", "modeling", "data", "engine"},
    "search": _FREE | {"space"},
    "driver": _FREE | {"space", "modeling", "data", "engine", "evaluation", "search"},
    "ranking": _FREE | {"space", "engine", "search", "driver", "steps"},
    "report": _FREE
    | {"space", "modeling", "data", "engine", "evaluation", "search", "driver"}
    | {"steps", "ranking"},
    "export": _FREE | {"space", "modeling", "data", "engine", "evaluation"},
    "predict": _FREE | {"space", "modeling", "data", "engine", "evaluation", "export"},
}
NO_TORCH = {"errors", "files", "phases", "space", "search"}
TORCH = {"torch", "torchvision", "detectron2", "fvcore"}  # fvcore's modules import torch


def find_modules() -> dict[str, Path]:
    """Dotted name -> file of every module of the package; a package has the name of its folder."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: set[str], *, on_load: bool = False) -> Iterator[str]:
    """Dotted names that a module imports, relative ones resolved.

    `from a import b` gives `a.b` where that is a module in `known`, else `a`. With `on_load`, only
    what runs when the module is imported: nothing in functions or under `if TYPE_CHECKING`.
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(above + ([base] if base else []))
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                yield submodule if submodule in known else base
        elif on_load and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        elif on_load and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
        else:
            waiting.extend(ast.iter_child_nodes(node))


def room(name: str) -> str:
    """`detnas_d2.space.cost` -> `space`; the package itself -> an empty string."""
    return name.split(".")[1] if "." in name else ""


def wrong_directions() -> list[str]:
    modules = find_modules()
    wrong = []
    for name, path in modules.items():
        here = room(name)
        for imported in sorted(set(imports(name, path, set(modules)))):
            top = imported.split(".")[0]
            if here in NO_TORCH and top in TORCH:
                wrong.append(f"{name} imports {imported}, but {here} knows neither torch nor it")
            # Modules beside the rooms (the demo) may import all; the package itself no room.
            if top != PACKAGE or here not in {*MAY_IMPORT, ""}:
                continue
            if room(imported) not in MAY_IMPORT.get(here, {"errors"}) | {here, ""}:
                wrong.append(f"{name} imports {imported}: {here or PACKAGE} must not")
    return wrong


def find_circle() -> list[str] | None:
    """A circle of modules that import each other while they load, or None."""
    modules = find_modules()
    needs: dict[str, set[str]] = {}
    for name, path in modules.items():
        loads = set()
        for imported in imports(name, path, set(modules), on_load=True):
            # Importing a.b.c loads a and a.b first, unless they are loading already.
            parts = imported.split(".")
            parents = {".".join(parts[:i]) for i in range(1, len(parts))}
            loads |= {imported} | {p for p in parents if not f"{name}.".startswith(f"{p}.")}
        needs[name] = (loads & set(modules)) - {name}
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return None


def test_imports_go_one_way():
    assert wrong_directions() == []


def test_every_folder_is_a_known_room():
    folders = {p.name for p in (ROOT / PACKAGE).iterdir() if (p / "__init__.py").is_file()}
    assert folders, "no rooms found: is this the repository's root?"
    assert folders <= set(MAY_IMPORT)


def test_no_module_imports_itself_in_a_circle():
    assert find_circle() is None


def test_space_and_search_load_without_torch():
    program = (
        f"import sys, {PACKAGE}.space, {PACKAGE}.search\n"
        f"print(sorted({TORCH | {'pymoo'}!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
