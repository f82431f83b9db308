"""The page projects/DetNAS/README.md names configs that exist, in an order that works, and all."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "projects" / "DetNAS" / "README.md").read_text()
TABLES = {
    "3": PAGE.partition("## Table 3")[2].partition("\n## ")[0],
    "4": PAGE.partition("## Table 4")[2].partition("\n## ")[0],
}
_CONFIG = re.compile(r"(?:configs/)?((?:imagenet|coco|voc|D)/step\d_\w+\.py)")


def expand(name: str) -> list[str]:
    """`D` and `T` stand for the data sets and detectors of Table 4."""
    names = []
    for dataset, detector in itertools.product(("coco", "voc"), ("fpn", "retinanet")):
        x = re.sub(r"^D/", f"{dataset}/", name)
        x = re.sub(r"_D_", f"_{dataset}_", x)
        names.append(re.sub(r"_T(?=[_.])", f"_{detector}", x))
    return list(dict.fromkeys(names))


def rows() -> list[tuple[str, list[list[str]]]]:
    """Each row with configs: its first cell, and the expanded configs of each place in order."""
    found = []
    for table in TABLES.values():
        for line in table.splitlines():
            names = _CONFIG.findall(line)
            if line.startswith("| ") and names:
                found.append((line.split("|")[1].strip(), [expand(n) for n in names]))
    return found


def named() -> set[str]:
    """All configs that the two tables and the text between them name."""
    names = {x for table in TABLES.values() for n in _CONFIG.findall(table) for x in expand(n)}
    for row, configs in rows():  # "the same with ..."
        if row == "DetNASNet 1.3G, searched" or row.startswith("DetNASNet 1.3G, published"):
            names |= {c[0].replace("1_3g", "3_8g") for c in configs}
        if row == "DetNASNet 1.3G, searched":
            for size, (c,) in itertools.product(("1_3g", "3_8g"), configs):
                names.add(c.replace("1_3g", size).replace("fpn", "retinanet"))
        if row == "ResNet-50":
            names |= {c[0].replace("resnet_50", "resnet_101") for c in configs}
        if row == "DetNet-59":
            names |= {c[0].replace("detnet_59", "shufflenetv2_40") for c in configs}
    return names


def test_every_config_of_the_paper_is_on_the_page():
    folders = ("imagenet", "coco", "voc")
    exist = {f"{f}/{p.name}" for f in folders for p in (ROOT / "configs" / f).glob("*.py")}
    assert named() == exist


@pytest.mark.parametrize(("row", "configs"), rows(), ids=[row for row, _ in rows()])
def test_a_row_is_in_order(row, configs):
    """Each config reads nothing but what those before it in the row write, or what others find."""
    lines = {}
    for places in configs:
        for name in places:
            head = (ROOT / "configs" / name).read_text().split("\n")[0]
            reads, writes = re.fullmatch(r"# reads (.*), writes (\S+)", head).groups()
            lines[name] = reads.split(" and "), writes
    if row == "Random":  # the command retrains by the search's own configs
        return
    order = [name for places in configs for name in places]
    written: set[str] = set()
    for name in order:
        reads, writes = lines[name]
        missing = {r for r in reads if r != "nothing" and "://" not in r} - written
        assert not missing, (name, missing)
        written.add(writes)


PUBLISHED = {
    "ResNet-50": "76.15, 36.7",
    "ResNet-101": "77.37, 39.4",
    "DetNet-59": "76.50, 37.9",
    "ShuffleNetV2-40": "77.18, 39.2",
    "DetNASNet 1.3G, published architecture": "77.20, 40.0",
    "ShuffleNetV2-20": "80.6 / 34.8 / 79.4 / 32.1",
    "ClsNASNet": "78.5 / 35.1 / 76.5 / 31.2",
    "Random": "80.9±0.2 / 35.9±0.3 / 79.0±0.7 / 32.5±0.4",
    "DetNAS-S": "81.1 / 35.9 / 79.9 / 32.8",
    "DetNAS-P": "81.5 / 36.4 / 80.1 / 33.3",
}
"""Tables 3 (top-1, AP) and 4 (FPN VOC / FPN COCO / RetinaNet VOC / RetinaNet COCO) of the paper."""


@pytest.mark.parametrize("row", PUBLISHED)
def test_published_figures(row):
    lines = [
        x for table in TABLES.values() for x in table.splitlines() if x.startswith(f"| {row} |")
    ]
    assert len(lines) == 1 and f"| {PUBLISHED[row]} |" in lines[0]
