"""Tables of networks trained alone: what is read, and that a damaged one is told."""

from __future__ import annotations

import json
import re

import pytest
from made_search import space_of

from detnas_d2.ranking import RankingError, read_truth
from detnas_d2.space import Architecture

SPACE = space_of(2, (1, 1))
ENTRY = {"architecture": [0, 1], "AP": [60.5, 61], "validation": {"AP": [59.5, None]}, "flops": 3}
HOW = re.escape('expected {"architectures": [{"architecture": ')


def test_a_table(tmp_path):
    """Test images or validation images; where nothing was detected, 0."""
    file = tmp_path / "table.json"
    file.write_text(json.dumps({"architectures": [ENTRY], "made_of": "anything"}))
    network = Architecture(SPACE, (0, 1))
    assert read_truth(file, SPACE, "AP") == {network: [60.5, 61.0]}
    assert read_truth(file, SPACE, "AP", validation=True) == {network: [59.5, 0.0]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "Expecting value"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "list indices"),
        ("{}", "no key 'architectures'"),
        ({"AP50": 1}, ""),
        ({"architecture": [0, 1, 0]}, "got 3 choices, expected 2"),
        ({"architecture": [0, 9]}, "block 2 of 2"),
        ({"architecture": "/etc/passwd"}, "isn't a list of choices"),
        ({"AP": 60.0}, "60.0 is no list of figures"),
        ({"AP": []}, "no list of figures"),
        ({"AP": [float("nan")]}, "nan is no figure"),
        ({"AP": [10**400]}, "too large"),
        ({"AP": ["60"]}, "'60' is no figure"),
        ({"AP": [True]}, "True is no figure"),
    ],
)
def test_a_damaged_table(tmp_path, content, said):
    file = tmp_path / "table.json"
    if isinstance(content, dict):
        first = {**ENTRY, "architecture": [1, 1]}
        content = json.dumps({"architectures": [first, {**ENTRY, **content}]})
        if not said:
            assert len(read_truth(file_of(file, content), SPACE, "AP")) == 2
            return
        said = f"{said}.*after 1 networks"
    with pytest.raises(RankingError, match=rf"(?s)is no table for this search: .*{said}.*{HOW}"):
        read_truth(file_of(file, content), SPACE, "AP")


def file_of(file, content):
    file.write_text(content)
    return file


def test_what_is_missing(tmp_path):
    with pytest.raises(RankingError, match=f"can't be read: No such file.*{HOW}"):
        read_truth(tmp_path / "none.json", SPACE, "AP")
    file = file_of(tmp_path / "t.json", json.dumps({"architectures": [ENTRY, ENTRY]}))
    with pytest.raises(RankingError, match="0,1 stands in it twice"):
        read_truth(file, SPACE, "AP")
    with pytest.raises(RankingError, match="there is no key 'AP-person'"):
        read_truth(file, SPACE, "AP-person")
