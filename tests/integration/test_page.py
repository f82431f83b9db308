"""The page projects/DetNAS/README.md names configs that exist, in an order that works, and all."""

from __future__ import annotations

import functools
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
