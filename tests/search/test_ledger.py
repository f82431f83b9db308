"""The ledger: whole lines, one search; whatever goes wrong loses no evaluation."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import subprocess
import zlib
from contextlib import contextmanager

import pytest

from detnas_d2.search import Ledger, LedgerError, LedgerMismatch, make_header, read_ledger
from detnas_d2.search.ledger_format import to_line


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def filled(tiny, open_ledger, record, path):
    """A closed ledger of three lines after its header; gives the three evaluations."""
    evaluations = [record(tiny, c, f) for c, f in (((0, 0, 0), 1.5), ((0, 0, 1), None))]
    evaluations.append(record(tiny, (0, 0, 2), 0.1 + 0.2))
    with open_ledger(tiny) as ledger:
        for evaluation in evaluations:
            ledger.append(evaluation)
    return evaluations


@pytest.fixture
def resumed(tiny, open_ledger):
    """resumed() -> the evaluations of this test's ledger, opened with resume and closed again."""

    def read():
        with open_ledger(tiny, resume=True) as ledger:
            return list(ledger)

    return read


def test_file_is_a_header_and_a_line_for_each(filled, tiny, path):
    """A line is checked by its bytes or by its object, as the format's docstring says."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line, text in zip(lines, path.read_bytes().splitlines(), strict=True):
        assert list(line)[-1] == "crc32"
        crc32 = line.pop("crc32")
        content, _, digits = text.rpartition(b', "crc32": ')
        assert int(digits.removesuffix(b"}")) == zlib.crc32(content + b"}") == crc32
        assert json.dumps(line).encode() == content + b"}"
    assert lines[0] == {
        "header": {
            "space": "tiny",
            "space_fingerprint": tiny.fingerprint,
            "config_hash": "c0ffee",
            "checkpoint_hash": "5eed",
            "seed": 0,
            "version": 2,
        }
    }
    assert lines[1:] == [e.to_json() for e in filled]
    assert read_ledger(path, tiny) == (lines[0]["header"], filled)


def test_resume_answers_what_was_appended(filled, tiny, open_ledger, record, path):
    """What failed gives way to a later line."""
    _, failed, _ = filled
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"--resume.*another output folder"):
        open_ledger(tiny)
    assert path.read_bytes() == before
    added = record(tiny, (1, 1, 1), 7.0)
    again = record(tiny, (0, 0, 1), None, error="ValueError: again")
    at_last = record(tiny, (0, 0, 1), 5.0)
    expected = [*filled]
    for number, later in enumerate((added, again, at_last), start=1):
        with open_ledger(tiny, resume=True) as ledger:
            assert list(ledger) == expected and ledger.get(failed.architecture) in expected
            ledger.append(later)
            assert ledger.get(later.architecture) == later
        expected = [e for e in expected if e.architecture != later.architecture] + [later]
        assert read_ledger(path, tiny)[1] == expected
        assert len(path.read_bytes().splitlines()) == 4 + number  # lines are only ever appended
    with open_ledger(tiny, resume=True) as ledger, pytest.raises(ValueError, match="0,0,1"):
        ledger.append(again)


# --- what a crash leaves ---------------------------------------------------------------------


def test_header_alone_is_replaced(tiny, path):
    """A search that failed to start leaves a header; the mended one starts as if anew."""
    path.write_bytes(to_line({"header": {"seed": 0, "version": 3}}))  # of any version
    for resume, seed in ((True, 1), (False, 2), (True, 3)):
        Ledger(path, {"seed": seed}, tiny, resume=resume).close()
        content = path.read_bytes()
        assert content == to_line({"header": {"seed": seed}})
        for kept in (0, 1, 15, -1):  # or a part of it
            path.write_bytes(content[:kept])
            Ledger(path, {"seed": seed}, tiny, resume=resume).close()
            assert path.read_bytes() == content


@pytest.mark.parametrize(
    "lost, end, left_over",
    [(1, b"", 2), (20, b"", 2), (150, b"", 2)]
    # what a file system can leave after a power failure of what was not synced
    + [(40, bytes(40) + end, 2) for end in (b"", b"\n", b'": 0.5, "crc32": 1}\n')]
    + [(300, bytes(300) + end, 1) for end in (b"", b"\n", b'": 0.5, "crc32": 1}\n')],
)
def test_torn_end_is_cut_off(filled, tiny, open_ledger, path, caplog, lost, end, left_over):
    content = path.read_bytes()
    path.write_bytes(content[:-lost] + end)
    left = content[: content[:-lost].rfind(b"\n") + 1]
    assert read_ledger(path, tiny)[1] == filled[:left_over]
    with open_ledger(tiny, resume=True) as ledger:
        assert list(ledger) == filled[:left_over]
        assert path.read_bytes() == left
        assert "torn" in caplog.text and str(path) in caplog.text
        for evaluation in filled[left_over:]:
            ledger.append(evaluation)
    assert path.read_bytes() == content


# --- what a crash can't leave ----------------------------------------------------------------


def test_a_flipped_byte_is_found_wherever_it_is(filled, tiny, resumed, path):
    """By an error that names the line and says how to mend it."""
    content = path.read_bytes()
    header = content.splitlines()[0].decode()
    with path.open("r+b") as file:
        for position, byte in enumerate(content[:-1]):
            number = content[:position].count(b"\n") + 1
            digit = ord("0") + (byte - ord("0") + 1) % 10
            for new in {byte ^ 1, byte ^ 128, digit, 0, ord("\n"), ord(" ")} - {byte}:
                os.pwrite(file.fileno(), bytes([new]), position)
                with pytest.raises(LedgerError):
                    read_ledger(path, tiny)
                with pytest.raises(LedgerError) as caught:
                    resumed()
                message = str(caught.value)
                assert f"{path}, line {number}" in message, (position, new, message)
                assert (header if number == 1 else f"sed -i {number}d {path}") in message
                assert len(path.read_bytes()) == len(content)
            os.pwrite(file.fileno(), bytes([byte]), position)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_doing_what_the_error_says_loses_only_the_damaged_line(filled, tiny, resumed, path, number):
    """A header can be written again."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = lines[number - 1].replace(b"0", b"1", 1)
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match=f"line {number} .*resume its search|sed"):
        read_ledger(path, tiny)
    with pytest.raises(LedgerError) as caught:
        resumed()
    if number == 1:
        lines[0] = str(caught.value).splitlines()[-1].encode() + b"\n"
        path.write_bytes(b"".join(lines))
    else:
        command = re.search(r"\((sed .*)\)", str(caught.value))[1]
        subprocess.run(shlex.split(command), check=True)
    assert resumed() == [e for i, e in enumerate(filled, start=2) if i != number]


@pytest.mark.parametrize(
    "text, reason",
    [
        ('{"fitness": NaN}', "NaN is not JSON"),
        ('{"metrics": ' + "[" * 100_000 + "]" * 100_000 + "}", "recursion"),
        ("{}", "missing keys"),
        ({"architecture": [0, 0, 0]}, "0,0,0 was evaluated before"),
        ({"architecture": [1, 0, 0], "status": "ok", "fitness": 10**400}, "too large"),
        ({"architecture": [1, 0, 0], "speed": 1}, "speed"),
    ],
)
def test_line_that_something_else_wrote_is_damaged(filled, resumed, path, text, reason):
    """Its checksum is right, or it has none."""
    if isinstance(text, dict):
        text = json.dumps({**filled[1].to_json(), **text})
    with path.open("a") as file:
        file.write(f'{text[:-1]}, "crc32": {zlib.crc32(text.encode())}}}\n')
    with pytest.raises(LedgerError, match=f"line 5 is damaged: .*{reason}"):
        resumed()


@pytest.mark.parametrize(
    "content",
    [b"hello", b"hello\n", b"[]\n", b'{"header": 3}\n', b"{}\n{}\n", to_line({"head": {}})],
)
def test_file_that_is_no_ledger_is_left_alone(resumed, path, content):
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="line 1"):
        resumed()
    assert path.read_bytes() == content


# --- another search --------------------------------------------------------------------------


def test_another_header_is_told_by_each_field_and_both_values(filled, tiny, path):
    """What a header does not know agrees with everything."""
    known = make_header(tiny, "c0ffee", "5eed", 0)
    Ledger(path, {**known, "seed": None}, tiny, resume=True).close()
    header = {**make_header(tiny, "c0ffee", "0ther", 3), "workers": 2}
    with pytest.raises(LedgerMismatch) as caught:
        Ledger(path, header, tiny, resume=True)
    fields = {"checkpoint_hash": ("5eed", "0ther"), "seed": (0, 3), "workers": (None, 2)}
    assert caught.value.fields == fields
    message = str(caught.value)
    assert "'5eed' in the ledger, '0ther' now" in message and "another output folder" in message
    assert "config_hash" not in message

    evaluations = path.read_bytes().splitlines(keepends=True)[1:]

    def written(**more):
        path.write_bytes(to_line({"header": {**known, **more}}) + b"".join(evaluations))

    written(processor=None, input=(224, 224))
    header = {**known, "processor": "AVX2", "input": (224, 224)}
    Ledger(path, header, tiny, resume=True).close()
    with pytest.raises(LedgerMismatch):  # a key that is missing is another search's
        Ledger(path, {**header, "new": None}, tiny, resume=True)
    written(version=3)
    with pytest.raises(LedgerMismatch, match="version: 3 in the ledger, 2 now"):
        Ledger(path, known, tiny, resume=True)
    with pytest.raises(LedgerError, match="ledger of version 3; this detnas_d2 reads version 2"):
        read_ledger(path, tiny)


# --- the disk --------------------------------------------------------------------------------


@contextmanager
def largest_file(size):
    """The kernel writes up to `size` bytes of a file and refuses the rest, like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_disk_that_fills_within_a_line(filled, tiny, open_ledger, record, path):
    """What was written of the line is cut off at the next start."""
    before = path.read_bytes()
    ledger = open_ledger(tiny, resume=True)
    with (
        largest_file(len(before) + 25),
        pytest.raises(LedgerError, match=r"evaluations in it are kept.*--resume") as caught,
    ):
        ledger.append(record(tiny, (1, 1, 1)))
    assert str(path) in str(caught.value)
    with pytest.raises(ValueError, match="closed"):
        ledger.append(record(tiny, (1, 0, 0)))
    assert list(open_ledger(tiny, resume=True)) == filled
    assert path.read_bytes() == before


def test_all_is_on_the_disk(tiny, open_ledger, record, path, monkeypatch):
    """What took long, as soon as it is appended; and the folder's entry of a new ledger."""
    synced = []
    real = os.fsync

    def spy(descriptor):
        real(descriptor)
        synced.append((os.fstat(descriptor).st_ino, path.stat().st_size))

    monkeypatch.setattr(os, "fsync", spy)
    ledger = open_ledger(tiny)
    file, folder = path.stat().st_ino, path.parent.stat().st_ino
    assert synced == [(file, path.stat().st_size), (folder, path.stat().st_size)]
    for i, seconds in enumerate((0.1, 0.09, 60)):
        ledger.append(record(tiny, (0, 0, i), seconds=seconds))
        is_synced = synced[-1] == (file, path.stat().st_size)
        assert is_synced == (seconds != 0.09)
    assert len(synced) == 4
