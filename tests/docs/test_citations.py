"""What comments and pages cite: the algorithms' own line numbers, and no section of the paper."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EVOLUTION = (ROOT / "detnas_d2" / "search" / "evolution.py").read_text()
METHOD = (ROOT / "docs" / "method.md").read_text()


def numbers(text: str) -> set[int]:
    """ "4-17", "8 to 10" and "2, 4 and 13" as the lines that they name."""
    spans = re.sub(r"(\d+)(?:-| to )(\d+)", lambda m: " ".join(map(str, span(*m.groups()))), text)
    return set(map(int, re.findall(r"\d+", spans)))


def span(first: str, last: str) -> range:
    return range(int(first), int(last) + 1)


@pytest.mark.parametrize(("heading", "last"), [("Algorithm 1", 12), ("Algorithm 2", 17)])
def test_the_page_has_every_line_of_an_algorithm_once(heading, last):
    part = METHOD.partition(f"## {heading}, line by line")[2].partition("\n## ")[0]
    rows = map(numbers, re.findall(r"^\| (\d[\d, ]*) \|", part, re.MULTILINE))
    assert sorted(n for row in rows for n in row) == list(range(1, last + 1))


def test_the_search_is_commented_with_the_lines_of_its_listing():
    listing = ast.get_docstring(ast.parse(EVOLUTION))
    listed = re.findall(r"^ +(\d+(?:-\d+)?)  ", listing, re.MULTILINE)
    assert set.union(*map(numbers, listed)) == set(range(1, 18))
    commented = [
        numbers(x) for x in re.findall(r"# lines? (\d[^;|\n]*(?:; then [^\n]*)?)", EVOLUTION)
    ]
    # 11 and 17 only end loops
    assert set.union(*commented) == set(range(1, 17)) - {11}
