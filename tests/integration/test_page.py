"""The page projects/DetNAS/README.md names configs that exist, in an order that works, and all."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from detnas_d2.engine import load_config
from detnas_d2.space import Architecture, CostTable, resolve_space

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "projects" / "DetNAS" / "README.md").read_text()
TABLES = {
    "3": PAGE.partition("## Table 3")[2].partition("\n## ")[0],
    "4": PAGE.partition("## Table 4")[2].partition("\n## ")[0],
}
_CONFIG = re.compile(r"(?:configs/)?((?:imagenet|coco|voc|D)/step\d_\w+\.py)")


_CLASSIFIED = r"imagenet/step4_classification_\1"


def expand(name: str) -> list[str]:
    """`D` and `T` stand for the data sets and detectors of Table 4."""
    names = []
    for dataset, detector in itertools.product(("coco", "voc"), ("fpn", "retinanet")):
        x = re.sub(r"(^|/)D/", rf"\1{dataset}/", name)
        x = re.sub(r"_D_", f"_{dataset}_", x)
        names.append(re.sub(r"_T(?=[_.])", f"_{detector}", x))
    return list(dict.fromkeys(names))


def rows() -> list[tuple[str, list[list[str]]]]:
    """Each row with configs: its first cell, and the expanded configs of each place in order."""
    found = []
    for table in TABLES.values():
        for line in table.splitlines():
            names = _CONFIG.findall(line)
            if "retrain.py" in line:  # runs what its search names: a classification, a detection
                names = [re.sub(r".*step3_search_\w+?_(\d)", _CLASSIFIED, n) for n in names]
            if line.startswith("| ") and names:
                found.append((line.split("|")[1].strip(), [expand(n) for n in names]))
    return found


def named() -> set[str]:
    """All configs that the page names."""
    names = {x for n in _CONFIG.findall(PAGE) for x in expand(n)}
    names |= {n.replace("resnet_50", "resnet_101") for n in names}  # "the same with resnet_101"
    return names | {n.replace("1_3g", "3_8g") for n in names}  # "as the two rows above"


def test_every_config_of_the_paper_is_on_the_page():
    folders = ("imagenet", "coco", "voc")
    exist = {f"{f}/{p.name}" for f in folders for p in (ROOT / "configs" / f).glob("*.py")}
    assert named() == exist


@pytest.mark.parametrize(("row", "configs"), rows(), ids=[row for row, _ in rows()])
def test_a_row_is_in_order(row, configs):
    """Each config reads what those before it in the row write, but for what an override sets."""
    written: set[str] = set()
    for name in (name for places in configs for name in places):
        head = (ROOT / "configs" / name).read_text().split("\n")[0]
        reads, writes = re.fullmatch(r"# reads (.*), writes (\S+)", head).groups()
        if "step4" not in name:
            missing = {r for r in reads.split(" and ") if r != "nothing"} - written
            assert not missing or row in GIVEN, (name, missing)
        written.add(writes)


GIVEN = [row for row, _ in rows() if "ShuffleNet" in row or "published" in row or row == "Random"]
"""Rows whose networks no search finds: `retrain.py` is told, or draws, them."""


@pytest.mark.parametrize("row", GIVEN)
def test_a_row_of_given_networks_is_one_command(row):
    (line,) = [x for t in TABLES.values() for x in t.splitlines() if x.startswith(f"| {row} |")]
    (command,) = re.findall(r"`python projects/DetNAS/retrain.py ([^`]+)`", line)
    search, test = command.split()[:2]
    for one, other in zip(expand(search), expand(test), strict=True):
        assert other in load_config(str(ROOT / one)).search.retrain
    if (match := re.search(r"--architecture ([\d,]+)", command)) is not None:
        Architecture.parse(match[1], resolve_space("1.3g" if "1_3g" in search else "300m"))


@pytest.mark.parametrize(
    ("architecture", "flops"), re.findall(r"\| `([\d,]+)` \| ([\d,]+) \|", PAGE)
)
def test_published_architectures(architecture, flops):
    space = resolve_space("300m")
    cost = CostTable(space).flops(Architecture.parse(architecture, space))
    assert f"{cost:,}" == flops
