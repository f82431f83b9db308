"""docs/config.md has every key of every config, and pages name only keys and files that exist."""

from __future__ import annotations

import functools
import importlib
import pydoc
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from own_images import with_tiny_data
from pages import DOCS, PAGES, ROOT, inline_code, name_of

from detnas_d2.engine import load_config

sys.path.insert(0, str(ROOT / "docs"))
import config_table  # noqa: E402

STEPS = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "configs").glob("*/step*.py"))
_SHAPE = re.compile(r"#.*|[\"'].*?[\"']|\d[\w.]*|_(?:300m|1_3g|3_8g)")
SECTIONS = config_table.sections()
GROUPS = ("train", "search")
"""Plain groups of keys, each described as a whole."""
NODES = {"dataloader", "model", "optimizer", "lr_multiplier", "path_sampler", "datasets"}
"""Keys that hold nodes; what is below them belongs to a class."""


def described() -> dict[str, set[str]]:
    """Class or function -> its arguments that config_keys.yaml describes."""
    return {s["target"]: set(s["keys"]) for s in SECTIONS.values() if "target" in s}


def public(target: str) -> str:
    """detnas_d2.space.choices.Choice -> detnas_d2.space.Choice, where that is the same."""
    parts = target.split(".")
    if parts[0] != "detnas_d2":
        return target
    name = ".".join([*parts[:2], parts[-1]])
    package = importlib.import_module(".".join(parts[:2]))
    return name if hasattr(package, parts[-1]) else target


def undescribed(cfg: dict[str, Any]) -> Iterator[str]:
    """The keys of a config that are ours and that config_keys.yaml does not know."""
    known = described()
    for key, value in cfg.items():
        if key in GROUPS:
            keys = set(SECTIONS[key]["keys"])
            yield from (f"{key}.{k}" for k in plain_keys(value) if k not in keys)
        elif key not in NODES:
            yield key
        for path, node in config_table.made_nodes(value, key):
            target = public(config_table.target_name(node))
            if target.startswith("detnas_d2."):
                arguments = set(node) - {"_target_", "_recursive_"}
                unknown = arguments - known.get(target, set())
                yield from (f"{path}.{k} ({target})" for k in unknown)


def plain_keys(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        if isinstance(value, dict) and "_target_" not in value:
            yield from plain_keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


@functools.cache
def containers() -> dict[str, dict[str, Any]]:
    """The configs of all steps as plain dicts, those of configs/custom on a few images.

    Of those that differ in numbers, texts and the size of the space alone, one: that saves seconds.
    """
    loaded = {}
    steps = {_SHAPE.sub("", (ROOT / path).read_text()): path for path in STEPS}.values()
    with TemporaryDirectory() as folder:
        for path in steps:
            with with_tiny_data(ROOT / path, folder) as config:
                cfg = load_config(str(config))
            cfg = {k: v for k, v in cfg.items() if isinstance(v, DictConfig)}
            loaded[path] = {k: OmegaConf.to_container(v, resolve=False) for k, v in cfg.items()}
    return loaded


def test_every_key_is_described():
    wrong = {path: keys for path, c in containers().items() if (keys := sorted(undescribed(c)))}
    assert not wrong, f"add them to docs/config_keys.yaml: {wrong}"


def test_an_undescribed_key_is_seen():
    cfg = {
        "train": {"seed": 0, "colour": 1, "amp": {"enabled": False, "kind": 2}},
        "model": {"_target_": "x.Y", "norm": {"_target_": "detnas_d2.modeling.Norm", "size": 3}},
        "extra": {},
    }
    assert sorted(undescribed(cfg)) == [
        "extra",
        "model.norm.size (detnas_d2.modeling.Norm)",
        "train.amp.kind",
        "train.colour",
    ]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_is_true(name: str):
    """Each key is one of a config, of the signature or of yacs, and the signature has no other."""
    section = SECTIONS[name]
    rows = config_table.rows(name)  # raises for a key that is nowhere
    assert all(row.text and row.type not in ("NoneType", "dict") for row in rows)
    signature = set(config_table.signature_of(section))
    assert signature <= set(section["keys"])
    for _, node in config_table.nodes_of(section):
        assert node is not None
    if name in GROUPS:
        (node,) = [OmegaConf.to_container(n) for _, n in config_table.nodes_of(section)]
        assert set(plain_keys(node)) == set(section["keys"])
    if name == "yacs":
        assert set(section["keys"]) == set(config_table.yacs_defaults())


def test_defaults_are_those_of_the_configs():
    """By a second reading: some that anybody would look up."""
    rows = {(s, row.key): row for s in SECTIONS for row in config_table.rows(s)}
    assert rows["train", "max_iter"].default == "`90000`"
    assert rows["search", "flops_limit"].default == "`300000000`"
    assert rows["search", "flops_limit"].type == "int or null"
    assert rows["search", "latency_limit"].default == "`null`"
    assert rows["EvolutionarySearch", "parents_from"].default == "`population`"
    assert rows["build_train_loader", "total_batch_size"].default == "`16` or `2` or `1024` or `64`"
    assert rows["Norm", "eps"].default == "`1e-05`"
    assert rows["StandAloneNetwork", "architecture"].default == "required"


def test_every_section_is_on_the_page():
    page = (ROOT / "docs" / "config.md").read_text()
    assert sorted(re.findall(r"```{config-table} (.+)", page)) == sorted(SECTIONS)


def known_keys() -> set[str]:
    """Every dotted key of every config, with the nodes above it."""
    keys = set()

    def walk(node: Any, path: str) -> None:
        keys.add(path)
        items = node.items() if isinstance(node, dict) else ()
        for key, value in enumerate(node) if isinstance(node, list) else items:
            walk(value, f"{path}.{key}" if path else str(key))

    for container in containers().values():
        walk(container, "")
    for name in ("EvolutionarySearch", "ParetoSearch", "RandomSearch", "GivenArchitectures"):
        keys |= {f"search.algorithm.{key}" for key in SECTIONS[name]["keys"]}
    return keys | {f"train.{key}" for key in SECTIONS["train"]["optional"]}


_KEY = re.compile(rf"^\+?((?:{'|'.join([*GROUPS, *NODES])})\.[\w.]+)(?:=|$)")
_FILE = re.compile(r"^(?:configs|tools|projects|tests|benchmarks|detnas_d2|docs)/[\w./]+\.\w+$")
_MODULE = re.compile(r"^detnas_d2(?:\.\w+)+$")


def test_keys_named_on_pages_exist():
    known = known_keys()
    for page in PAGES:
        for code in inline_code(page):
            for word in code.split():
                match = _KEY.match(word) if not word.endswith(".json") else None
                assert not match or match[1] in known, f"{name_of(page)}: no config has {match[1]}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_and_names_on_pages_exist(page: Path):
    for code in inline_code(page):
        for word in code.split():
            if _FILE.match(word) and not re.search(r"(/|_)[DT](/|_|\.)|FILE|NAME", word):
                assert (ROOT / word).exists(), f"{name_of(page)}: there is no {word}"
            if _MODULE.match(word):
                assert pydoc.locate(word), f"{name_of(page)}: there is no {word}"


def test_the_pages_of_the_documentation_are_found():
    assert {"config.md", "faq.md", "index.md", "method.md", "quick_start.md"} <= {
        p.name for p in DOCS
    }
