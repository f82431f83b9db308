"""How commands end: one message and a status; a traceback for --debug or in the log alone."""

from __future__ import annotations

import errno
import logging
import os
import re
import signal
import sys
import threading
from pathlib import Path

import pytest

from detnas_d2.commands import command, ending
from detnas_d2.errors import DetNASError

ROOT = Path(__file__).parents[1]


class OutOfMemoryError(RuntimeError):
    """As torch.cuda's is called."""


def end(error: BaseException, *, debug: bool = False) -> str | int:
    with pytest.raises(SystemExit) as caught, ending("prog", debug=debug):
        raise error
    return caught.value.code


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DetNASError("no such thing\nin two lines"), r"prog: no such thing\nin two lines"),
        (ValueError("odd"), r"prog: ValueError: odd\nThis was not foreseen .*--debug shows"),
        (ValueError(), r"prog: ValueError: \(no message\)\n.*--debug"),
        (FileNotFoundError(2, "No such file", "a.txt"), r"prog: No such file: 'a\.txt'\nCheck"),
        (
            OSError(28, "No space left", "a.txt"),
            r"prog: can't write to a\.txt: .*make room.*--resume",
        ),
        (
            OSError(errno.EROFS, os.strerror(errno.EROFS)),
            r"prog: can't write to the output folder: .*make room",
        ),
        (OutOfMemoryError("CUDA out of memory"), r"prog: Out.*CUDA out.*\n.*total_batch_size"),
        (MemoryError(), r"prog: MemoryError: .*\n.*smaller"),
        (
            RuntimeError("Traceback (most recent call last):\n  File x\nKeyError: 'y'\n"),
            r"prog: KeyError: 'y'\n",  # of a process that was started
        ),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_an_error_is_one_message(capsys, error, message, debug):
    assert re.match(message, end(error, debug=debug), re.DOTALL)
    assert ("Traceback" in capsys.readouterr().err) == debug


@pytest.mark.parametrize("message", ["", "stopped; go on with --resume."])
def test_ctrl_c(capsys, message):
    assert end(KeyboardInterrupt(*filter(None, [message]))) == 130
    assert capsys.readouterr().err == f"prog: {message or 'stopped.'}\n"


def test_a_thread_that_fails_is_a_line(capsys):
    before = threading.excepthook
    with ending("prog", debug=False):
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    assert threading.excepthook is before
    expected = "prog: a thread was ended by ZeroDivisionError: division by zero\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("code", [0, 3, "text"])
def test_other_ends_pass(code):
    assert end(SystemExit(code)) == code


def test_a_log_gets_the_traceback_and_the_console_not(tmp_path, capsys):
    logger = logging.getLogger("detnas_d2")
    handlers = [logging.FileHandler(tmp_path / "log.txt"), logging.StreamHandler(sys.stderr)]
    for handler in handlers:
        logger.addHandler(handler)
    try:
        message = end(ZeroDivisionError("by zero"))
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
    assert f"{tmp_path / 'log.txt'} has the traceback" in message
    assert "Traceback" in (tmp_path / "log.txt").read_text()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("argv", "seen"),
    [
        (["a=1"], ["a=1"]),
        (["a=1", "--debug"], ["--debug", "a=1"]),
        (["--debug"], ["--debug"]),
        (["--file", "f", "a=1", "--on", "b=2"], ["--on", "--file", "f", "a=1", "b=2"]),
        (["a=1", "--off"], ["a=1", "--off"]),
    ],
)
def test_flags_may_stand_anywhere(monkeypatch, argv, seen):
    @command("prog", flags=["--on"])
    def main(argv):
        return argv

    assert main(argv) == seen
    monkeypatch.setattr(sys, "argv", ["prog", *argv])
    assert main() == seen


def test_sigterm_may_end_it_as_an_error_does():
    @command("prog", sigterm=True)
    def main(argv):
        signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            main([])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == 128 + signal.SIGTERM


def test_every_program_ends_so():
    """But for benchmarks, and install_detectron2, which runs before anything is installed."""
    folders = [ROOT / folder for folder in ("detnas_d2", "tools", "projects")]
    found = [p for folder in folders for p in folder.rglob("*.py")] + list(ROOT.glob("*.py"))
    programs = [p for p in found if '__name__ == "__main__"' in p.read_text()]
    others = [p.name for p in programs if "@command(" not in p.read_text()]
    assert others == ["install_detectron2.py"]
