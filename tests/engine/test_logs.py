"""A log file on a full disk ends without ending the run, and without a traceback a line."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from detnas_d2.engine.logs import LogFile

SCRIPT = textwrap.dedent(
    """
    import logging, resource, signal, sys
    from detectron2.utils.logger import setup_logger
    from detnas_d2.engine.logs import let_logs_end

    one, other = (setup_logger(sys.argv[1], name=name) for name in ("one", "other"))
    if sys.argv[2] == "ended":
        let_logs_end("one", "other")
        let_logs_end("one", "other")  # a second set-up
    one.info("before")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))  # as a full disk
    for i in range(10):
        one.info("one %d", i)
        other.info("other %d", i)
    """
)


@pytest.mark.parametrize("how", ["ended", "as they are"])
def test_lines_that_do_not_fit(tmp_path, how):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), how],
        env={
            **os.environ,
            "PYTHONWARNINGS": "ignore",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert [done.stdout.count(f"one {i}\n") for i in range(10)] == [1] * 10
    assert (tmp_path / "log.txt").stat().st_size <= 200
    assert "one INFO: before\n" in (tmp_path / "log.txt").read_text()
    if how == "ended":
        assert done.stderr == f"{tmp_path}/log.txt ends here, it can't be written: File too large\n"
    else:  # what is mended
        assert done.stderr.count("Traceback") > 10


def test_a_log_file_writes_what_it_can(tmp_path, capsys):
    file = LogFile((tmp_path / "log.txt").open("w"))
    file.write("a\n")
    file.flush()
    assert (tmp_path / "log.txt").read_text() == "a\n"
    os.close(file._file.fileno())
    file.write("b\n")
    file.flush()
    file.write("c\n")
    file.flush()
    assert capsys.readouterr().err.count("ends here") == 1
    assert (tmp_path / "log.txt").read_text() == "a\n"
