"""Damaged ledgers: what is read of one was written to it, or it is a LedgerError."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detnas_d2.search import Evaluation, Ledger, LedgerError, make_header, read_ledger
from detnas_d2.space import Architecture, SearchSpace, ShuffleChoice, Stage, XceptionChoice

SPACE = SearchSpace(
    "tiny", 8, (Stage(16, 2), Stage(32, 1)), (ShuffleChoice(3), ShuffleChoice(5), XceptionChoice())
)
HEADER = make_header(SPACE, "c0ffee", "5eed", 0)
EVALUATIONS = [
    Evaluation(
        Architecture(SPACE, (i // 9, i // 3 % 3, i % 3)),
        "ok" if i % 4 else "failed",
        i / 7 if i % 4 else None,
        {"bbox/AP": i / 7, "bbox/APs": None} if i % 4 else {},
        1000 + i,
        100 + i,
        i // 3,
        0.5 * i,
        None if i % 4 else 'OSError: "x\\n"',
    )
    for i in range(7)
]
fuzz = settings(max_examples=150, derandomize=True, deadline=None)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "ledger.jsonl"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("written") / "ledger.jsonl"
    with Ledger(path, HEADER, SPACE) as ledger:
        for evaluation in EVALUATIONS:
            ledger.append(evaluation)
    return path.read_bytes()


def read(path, content: bytes) -> list[Evaluation] | None:
    """None for a LedgerError; both ways of reading agree, and an error leaves the file alone."""
    path.write_bytes(content)
    try:
        _, found = read_ledger(path, SPACE)
    except LedgerError as error:
        assert str(path) in str(error)
        found = None
    assert path.read_bytes() == content
    try:
        with Ledger(path, HEADER, SPACE, resume=True) as ledger:
            resumed = list(ledger)
    except LedgerError as error:
        assert str(path) in str(error)
        assert path.read_bytes() == content
        # a file that only begins like a header is what a killed start leaves
        assert found is None or found == [] or "belongs to another search" in str(error)
    else:
        assert resumed == found or (found is None and resumed == [])
        if found is not None:
            assert read_ledger(path, SPACE)[1] == found  # a second reading sees the same
    return found


@fuzz
@given(content=st.binary(max_size=200))
def test_random_bytes(path, content):
    assert read(path, content) in (None, [])


@fuzz
@given(
    data=st.data(),
    edits=st.lists(st.sampled_from(["drop", "double", "swap", "insert", "erase"]), max_size=4),
)
def test_edits(path, written, data, edits):
    """Whatever is read was written: nothing is invented, also where lines are moved or bytes put
    in between."""
    content = written
    for edit in edits:
        lines = content.splitlines(keepends=True) or [b""]
        i, j = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        if edit == "drop":
            del lines[i]
        elif edit == "double":
            lines.insert(j, lines[i])
        elif edit == "swap":
            lines[i], lines[j] = lines[j], lines[i]
        elif edit == "insert":
            lines.insert(i, data.draw(st.binary(max_size=20)))
        else:
            start = data.draw(st.integers(0, len(lines[i])))
            lines[i] = lines[i][:start] + lines[i][start + data.draw(st.integers(0, 9)) :]
        content = b"".join(lines)
    found = read(path, content)
    if content == written:
        assert found == EVALUATIONS
    for evaluation in found or []:
        assert evaluation in EVALUATIONS
