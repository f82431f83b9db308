"""The reader of latency tables: what fits is a cost, all else is refused with its place."""

import json
from dataclasses import dataclass

import pytest

from detnas_d2.space import LatencyTable, SearchSpace, ShuffleChoice, SpaceError, Stage


@dataclass(frozen=True)
class Picky(ShuffleChoice):
    def fits(self, in_channels, out_channels, stride):
        return stride == 1


SPACE = SearchSpace("s", 8, (Stage(16, 2),), (ShuffleChoice(3), Picky(5)))
CONTENT = {
    "space": "s",
    "fingerprint": SPACE.fingerprint,
    "input_size": [64, 96],
    "batch_size": 1,
    "device": "cpu",
    "device_name": "a processor",
    "threads": 2,
    "torch": "2.0",
    "constant_ms": 1,
    "block_ms": [[0.5, None], [0.25, 2.0]],
    "check": {"median_error": 0.02},
}


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "latency.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_a_table_is_a_cost(write):
    table = LatencyTable.read(write(CONTENT))
    cost = table.cost(SPACE, (64, 96))
    assert cost([0, 1]) == 1 + 0.5 + 2
    assert cost.minimum == 1.75 and cost.unit == "ms of latency"
    assert json.loads(json.dumps(table.to_json())) == CONTENT
    assert LatencyTable.read(write(table.to_json())) == table


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("input_size", [64], r"the input size is \[64\]"),
        ("input_size", None, "the input size is None"),
        ("constant_ms", float("nan"), "constant_ms has nan; expected a finite number"),
        ("constant_ms", True, "constant_ms has True; expected a finite number"),
        ("block_ms", [[0.5, 0.7], [0.1, float("inf")]], r"block_ms\[1\] has inf"),
        ("block_ms", [[0.5, 0.7], [-0.1, 1]], r"block_ms\[1\] has -0.1; expected a finite"),
        ("block_ms", [[0.5, "0.7"], [0.1, 1]], r"block_ms\[0\] has '0.7'"),
        ("check", [], r"check is \[\]; expected an object"),
        ("colour", "red", "can't be read .*expected an object with the keys"),
        *((None, text, "can't be read .*") for text in ("", "{", "[" * 100_000, "[]", "null")),
        *((key, ..., "can't be read .*expected an object with the keys") for key in CONTENT),
    ],
)
def test_wrong_content_is_refused(write, key, value, message):
    content = {name: x for name, x in {**CONTENT, key: value}.items() if x is not ...}
    path = write(content if key else value)
    with pytest.raises(SpaceError, match=message) as caught:
        LatencyTable.read(path)
    assert str(path) in str(caught.value)
    assert "make it anew: python -m detnas_d2.evaluation.latency" in str(caught.value)


def test_a_table_of_something_else_is_refused(write):
    table = LatencyTable.read(write(CONTENT))
    other = SearchSpace("s", 8, (Stage(16, 2),), (ShuffleChoice(3), ShuffleChoice(7)))
    with pytest.raises(SpaceError, match=f"is of space 's' .{SPACE.fingerprint}., not of 's'"):
        table.cost(other, (64, 96))
    wrong = [[[0.5, 0.75]], [[1, 2], [1, 2, 3]], [[1], [2]], [0.5, 0.7], [], 3]
    for rows in (*wrong, [[0.5, 0.7], [0.1, 1]]):  # in the last, of a block that doesn't fit
        with pytest.raises(SpaceError, match="has figures for other choices"):
            LatencyTable.read(write({**CONTENT, "block_ms": rows})).cost(SPACE, (64, 96))
