"""docs/config.md has every key of every config, and pages name only keys and files that exist."""

from __future__ import annotations

import functools
import pydoc
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from detectron2.config import LazyConfig
from omegaconf import DictConfig, OmegaConf
from own_images import with_tiny_data
from pages import PAGES, ROOT, inline_code, name_of

from detnas_d2.engine import load_config
from detnas_d2.modeling.build import get_cfg
from detnas_d2.settings import KEYS, OF_DETECTRON2, Search, Train

sys.path.insert(0, str(ROOT / "docs"))
import config_table  # noqa: E402

STEPS = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "configs").glob("*/step*.py"))
_SHAPE = re.compile(r"#.*|[\"'].*?[\"']|\d[\w.]*|_(?:300m|1_3g|3_8g)")
PAGE = (ROOT / "docs" / "config.md").read_text()
GROUPS = ["train", "search", "dataloader", "model", "optimizer", "lr_multiplier", "path_sampler"]
GROUPS += ["datasets"]


def test_the_tables_have_every_key():
    """By a second reading: some that anybody would look up."""
    rows = {(s, row[0]): row[1:] for s in (Train, Search) for row in config_table.rows(s)}
    assert len(rows) == len(KEYS) and all(meaning for *_, meaning in rows.values())
    assert rows[Train, "`max_iter`"][:3] == ("int", "`90000`", "iterations")
    assert rows[Train, "`checkpointer.max_to_keep`"][:2] == ("int or null", "`2`")
    assert rows[Search, "`flops_limit`"][:3] == ("int or null", "`300000000`", "multiply-adds")
    assert rows[Search, "`latency_limit`"][:3] == ("float or null", "`null`", "ms")
    assert rows[Search, "`algorithm`"][:2] == ("node", "")
    for name in ("Train", "Search"):
        assert f"```{{config-table}} {name}\n" in PAGE


@pytest.mark.parametrize("part", ["train", "search"])
def test_our_configs_set_every_key(part):
    cfg = LazyConfig.load(str(ROOT / f"configs/common/{part}.py"))
    assert {k for k in KEYS if OmegaConf.select(cfg, k, default=KEYS) is not KEYS} == {
        k for k in KEYS if k.startswith(part)
    }


def test_the_keys_of_yaml_projects():
    table = PAGE[PAGE.index("## YAML projects") :]
    assert set(re.findall(r"^\| `([A-Z0-9_]+)`", table, re.M)) == set(get_cfg().MODEL.DETNAS)


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
    for algorithm in LazyConfig.load(str(ROOT / "configs/common/search_algorithms.py")).values():
        keys |= {f"search.algorithm.{key}" for key in algorithm}
    return keys | set(OF_DETECTRON2)


_KEY = re.compile(rf"^\+?((?:{'|'.join(GROUPS)})\.[\w.]+)(?:=|$)")
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
