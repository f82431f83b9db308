"""The page projects/DetNAS/README.md names configs that exist, in an order that works, and all."""

from __future__ import annotations

import functools
import itertools
import re
from pathlib import Path

import pytest

from detnas_d2.engine import load_config

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


def classification_days(name: str, millions: float) -> float:
    """12 for the 300k iterations of the 300M space, others in proportion."""
    of_300m = "300m" in name or "shufflenetv2_20" in name
    size = 1 if of_300m else millions / 288.082368
    return 12 * iterations(f"imagenet/{name}") / 300_000 * size


def days(configs: list[str], millions: float) -> int:
    """GPU-days of a row: by the iterations in its configs, and the basis that the page states."""
    total = 0.0
    for config in configs:
        folder, _, name = config.partition("/")
        if name.startswith("step3"):
            total += 20
        elif folder == "imagenet":
            total += classification_days(name, millions)
        elif name.startswith(("step2", "step4")):
            total += 4 * iterations(config) / 90_000
    return round(total)


@functools.cache
def iterations(config: str) -> int:
    number: int = load_config(str(ROOT / "configs" / config)).train.max_iter
    return number


def cells(table: str) -> dict[str, list[str]]:
    """{first cell: the other cells} of a table."""
    split = [line.strip("|").split("|") for line in TABLES[table].splitlines() if line[:2] == "| "]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in split}


def test_gpu_days_of_table_3():
    """Each row by its configs; "the same with" and "as the two rows above" by those."""
    table = cells("3")
    own = {row: [c[0] for c in configs] for row, configs in rows()}
    published, searched = (f"DetNASNet 1.3G, {x}" for x in ("published architecture", "searched"))
    for row, configs in own.items():
        if row not in table:
            continue
        flops = re.search(r"\(([\d.]+)G", table[row][0] or table[published][0])
        assert table[row][3] == str(days(configs, 1000 * float(flops[1]))), row
    wide = [[c.replace("1_3g", "3_8g") for c in own[row]] for row in (published, searched)]
    assert table[next(r for r in table if "3.8G" in r)][3] == "; ".join(
        str(days(configs, 3937.832864)) for configs in wide
    )
    narrow = [c.replace("detnet_59", "shufflenetv2_40") for c in own["DetNet-59"]]
    assert table["ShuffleNetV2-40"][3] == str(days(narrow, 1040))
    deep = [c.replace("resnet_50", "resnet_101") for c in own["ResNet-50"]]
    assert table["ResNet-101"][3] == str(days(deep, 0)) == table["ResNet-50"][3]


def test_gpu_days_of_table_4():
    table = cells("4")
    seen = 0
    for row, places in rows():
        if row not in table or "Random" in row:
            continue
        for detector in ("fpn", "retinanet"):
            expected = []
            for dataset in ("voc", "coco"):
                chosen = [
                    min(p, key=lambda c: (dataset not in c, detector not in c)) for p in places
                ]
                expected.append(days(chosen, 288.082368))
            assert table[row][2] == ", ".join(map(str, expected)), (row, detector)
            seen += 1
    assert seen == 10
    one = [int(x) for x in table["DetNASNet, published architecture"][2].split(", ")]
    assert table["Random"][2] == ", ".join(str(5 * x) for x in one)
    scratch = [
        days([f"{dataset}/step4_detection_scratch_without_imagenet_fpn_300m.py"], 0)
        for dataset in ("coco", "voc")
    ]
    assert "`without_imagenet` take {} on COCO, {} on VOC".format(*scratch) in PAGE
