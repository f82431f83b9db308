"""The ledger: whole lines, one owner, one search; whatever goes wrong loses no evaluation."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from contextlib import contextmanager

import pytest

from detnas_d2.search import (
    Ledger,
    LedgerError,
    LedgerLocked,
    LedgerMismatch,
    make_header,
    read_ledger,
)


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


def test_file_is_a_header_and_a_line_for_each(filled, tiny, path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0] == {
        "header": {
            "space": "tiny",
            "space_fingerprint": tiny.fingerprint,
            "config_hash": "c0ffee",
            "checkpoint_hash": "5eed",
            "seed": 0,
            "version": 1,
        }
    }
    assert lines[1:] == [e.to_json() for e in filled]
    assert read_ledger(path, tiny) == (lines[0]["header"], filled)


def test_resume_answers_what_was_appended(filled, tiny, open_ledger, record, path):
    with open_ledger(tiny, resume=True) as ledger:
        assert list(ledger) == filled and len(ledger) == 3
        assert ledger.get(filled[1].architecture) == filled[1]
        added = record(tiny, (1, 1, 1), 7.0)
        assert ledger.get(added.architecture) is None
        ledger.append(added)
    assert list(open_ledger(tiny, resume=True)) == [*filled, added]


def test_resume_of_nothing_is_a_new_ledger(tiny, open_ledger, path):
    path.touch()  # killed between making the file and writing its header
    open_ledger(tiny, resume=True).close()
    assert read_ledger(path, tiny)[1] == []


def test_header_alone_is_replaced(tiny, path):
    """A search that failed to start leaves a header; the mended one starts as if anew."""
    for resume, seed in ((False, 1), (False, 2), (True, 3)):
        Ledger(path, {"seed": seed}, tiny, resume=resume).close()
        assert path.read_text() == f'{{"header": {{"seed": {seed}}}}}\n'


def test_folder_is_made(tiny, tmp_path):
    Ledger(tmp_path / "a" / "b" / "ledger.jsonl", {"seed": 1}, tiny).close()
    assert (tmp_path / "a" / "b" / "ledger.jsonl").read_text() == '{"header": {"seed": 1}}\n'


def test_without_resume_an_existing_ledger_is_refused(filled, tiny, open_ledger, path):
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"--resume.*another output folder"):
        open_ledger(tiny)
    assert path.read_bytes() == before


def test_same_architecture_twice_is_refused(filled, tiny, open_ledger, record):
    with open_ledger(tiny, resume=True) as ledger, pytest.raises(ValueError, match="0,0,0"):
        ledger.append(record(tiny, (0, 0, 0), 9.0))


def test_closed_ledger_says_so(tiny, open_ledger, record):
    ledger = open_ledger(tiny)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.append(record(tiny, (0, 0, 0)))


# --- what a crash leaves ---------------------------------------------------------------------


@pytest.mark.parametrize("kept", [1, 20, -2, -1])
def test_torn_last_line_is_cut_off(filled, tiny, open_ledger, path, caplog, kept):
    content = path.read_bytes()
    start = content.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(content[: start + kept] if kept > 0 else content[:kept])
    assert read_ledger(path, tiny)[1] == filled[:2]
    with open_ledger(tiny, resume=True) as ledger:
        assert list(ledger) == filled[:2]
        assert path.read_bytes() == content[:start]
        assert "torn" in caplog.text and str(path) in caplog.text
        ledger.append(filled[2])
    assert path.read_bytes() == content


@pytest.mark.parametrize("damage", [b"\0\0\0\0\n", b"\xff\xfe\n", b'{"fitness": NaN}\n'])
def test_last_line_that_is_no_json_is_cut_off(filled, tiny, open_ledger, path, damage):
    content = path.read_bytes()
    path.write_bytes(content + damage)
    assert list(open_ledger(tiny, resume=True)) == filled
    assert path.read_bytes() == content


@pytest.mark.parametrize("kept", [0, 1, 30, -1])
def test_torn_header_is_written_again(tiny, open_ledger, path, kept):
    open_ledger(tiny).close()
    content = path.read_bytes()
    path.write_bytes(content[:kept])
    open_ledger(tiny, resume=True).close()
    assert path.read_bytes() == content


def test_whole_ledger_is_left_alone(filled, tiny, open_ledger, path, caplog):
    content = path.read_bytes()
    open_ledger(tiny, resume=True).close()
    assert path.read_bytes() == content and not caplog.text


# --- what a crash can't leave ----------------------------------------------------------------


@pytest.mark.parametrize(
    "old, new, reason",
    [
        (b'"status": "failed"', b'"status": failed', "line 3"),
        (b'"status": "failed"', b'"status": "flawed"', "flawed"),
        (b'"architecture": [0, 0, 1]', b'"architecture": [0, 0, 4]', "4"),
        (b'"architecture": [0, 0, 1]', b'"architecture": [0, 0, 0]', "line 2"),
        (b'"generation"', b'"generatiom"', "generatiom"),
        (b'"ValueError: no"', b'"ValueError: \xff"', "line 3"),
    ],
)
def test_damaged_inner_line_names_file_and_line(filled, tiny, open_ledger, path, old, new, reason):
    lines = path.read_bytes().splitlines(keepends=True)
    assert old in lines[2]
    lines[2] = lines[2].replace(old, new)
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match=reason) as caught:
        open_ledger(tiny, resume=True)
    assert f"{path}, line 3" in str(caught.value)
    assert path.read_bytes() == b"".join(lines)


def test_damaged_inner_line_and_torn_last_line_cuts_nothing(filled, tiny, open_ledger, path):
    content = path.read_bytes().replace(b'"failed"', b'"fai')[:-10]
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="line 3"):
        open_ledger(tiny, resume=True)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content", [b"hello", b"hello\n", b"[]\n", b'{"header": 3}\n', b"{}\n{}\n"]
)
def test_file_that_is_no_ledger_is_left_alone(tiny, open_ledger, path, content):
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="line 1"):
        open_ledger(tiny, resume=True)
    assert path.read_bytes() == content


# --- another search --------------------------------------------------------------------------


def test_other_header_names_each_field_and_both_values(filled, tiny, path):
    header = {**make_header(tiny, "c0ffee", "0ther", 3), "workers": 2}
    with pytest.raises(LedgerMismatch) as caught:
        Ledger(path, header, tiny, resume=True)
    assert caught.value.fields == {
        "checkpoint_hash": ("5eed", "0ther"),
        "seed": (0, 3),
        "workers": (None, 2),
    }
    message = str(caught.value)
    assert "'5eed' in the ledger, '0ther' now" in message and "another output folder" in message
    assert "config_hash" not in message
    # it released its lock
    Ledger(path, make_header(tiny, "c0ffee", "5eed", 0), tiny, resume=True).close()


def test_header_with_tuples_is_equal_to_its_file(tiny, path):
    header = {"input": (224, 224)}
    Ledger(path, header, tiny).close()
    Ledger(path, header, tiny, resume=True).close()


def test_two_searches_on_one_folder(filled, tiny, open_ledger, path):
    with open_ledger(tiny, resume=True), pytest.raises(LedgerLocked, match="another search"):
        open_ledger(tiny, resume=True)
    open_ledger(tiny, resume=True).close()


def test_second_process_is_refused_until_the_first_is_killed(tiny, open_ledger, path):
    script = (
        "import sys; from detnas_d2.search import Ledger\n"
        "from detnas_d2.space import get_space\n"
        "ledger = Ledger(sys.argv[1], {}, get_space('demo'))\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"open\n"
        before = path.read_bytes()
        with pytest.raises(LedgerLocked, match=str(path)):
            Ledger(path, {}, tiny, resume=True)
        assert path.read_bytes() == before
    finally:
        other.kill()
        other.communicate()
    Ledger(path, {}, tiny, resume=True).close()


def test_forked_child_does_not_keep_the_lock(tiny, open_ledger, path, record):
    ledger = open_ledger(tiny)
    read_end, write_end = os.pipe()
    is_up, up = os.pipe()
    child = os.fork()
    if child == 0:  # a data worker that outlives the search
        os.close(write_end)
        os.write(up, b"1")
        os.read(read_end, 1)
        os._exit(0)
    try:
        os.read(is_up, 1)
        with pytest.raises(LedgerLocked):  # the parent's lock still holds
            open_ledger(tiny, resume=True)
        ledger.append(record(tiny, (0, 0, 0)))
        ledger.close()
        open_ledger(tiny, resume=True).close()
    finally:
        for descriptor in (write_end, read_end, is_up, up):
            os.close(descriptor)
        os.waitpid(child, 0)


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
    before = path.read_bytes()
    ledger = open_ledger(tiny, resume=True)
    with (
        largest_file(len(before) + 25),
        pytest.raises(LedgerError, match="3 evaluations") as caught,
    ):
        ledger.append(record(tiny, (1, 1, 1)))
    assert str(path) in str(caught.value) and "--resume" in str(caught.value)
    assert path.read_bytes() == before
    assert ledger.get(record(tiny, (1, 1, 1)).architecture) is None
    with open_ledger(tiny, resume=True) as ledger:  # the lock is free, and there is room again
        ledger.append(record(tiny, (1, 1, 1)))
    assert path.read_bytes().startswith(before)


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_failing_write_or_fsync_does_not_count(
    filled, tiny, open_ledger, record, path, monkeypatch, call
):
    before = path.read_bytes()
    ledger = open_ledger(tiny, resume=True)

    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(LedgerError, match="No space left"):
            ledger.append(record(tiny, (1, 1, 1)))
    assert path.read_bytes() == before
    with pytest.raises(LedgerError, match="closed"):
        ledger.append(record(tiny, (1, 1, 1)))


def test_line_that_can_not_be_taken_back_is_cut_off_at_the_next_start(
    filled, tiny, open_ledger, record, path, monkeypatch
):
    before = path.read_bytes()
    ledger = open_ledger(tiny, resume=True)

    def fail(*args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch, largest_file(len(before) + 25):
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(LedgerError):
            ledger.append(record(tiny, (1, 1, 1)))
    assert len(path.read_bytes()) == len(before) + 25
    assert list(open_ledger(tiny, resume=True)) == filled
    assert path.read_bytes() == before


def test_each_line_is_on_the_disk_before_it_counts(tiny, open_ledger, record, path, monkeypatch):
    synced = []
    real = os.fsync

    def spy(descriptor):
        real(descriptor)
        synced.append((os.fstat(descriptor).st_ino, path.stat().st_size))

    monkeypatch.setattr(os, "fsync", spy)
    ledger = open_ledger(tiny)
    folder = path.parent.stat().st_ino
    assert folder in [inode for inode, _ in synced]  # the new file's entry in its folder
    ledger.append(record(tiny, (1, 1, 1)))
    assert synced[-1] == (path.stat().st_ino, path.stat().st_size)


@pytest.mark.parametrize("obstacle", ["file in the place of the folder", "folder", "read-only"])
def test_what_can_not_be_opened_names_the_file(tiny, tmp_path, monkeypatch, obstacle):
    path = tmp_path / "out" / "ledger.jsonl"
    if obstacle == "folder":
        path.mkdir(parents=True)
    elif obstacle == "read-only":  # root may write everywhere, so the kernel's answer is forged

        def refuse(*args, **kwargs):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        monkeypatch.setattr(os, "open", refuse)
    else:
        path.parent.write_text("")
    with pytest.raises(LedgerError, match="writable") as caught:
        Ledger(path, {}, tiny)
    assert str(path) in str(caught.value)
