"""A log file on a full disk ends without ending the run, and without a traceback a line."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

SCRIPT = textwrap.dedent(
    """
    import logging, resource, signal, sys
    from detectron2.utils.logger import setup_logger
    from detnas_d2.engine.logs import let_logs_end

    one, other = (setup_logger(sys.argv[1], name=name) for name in ("one", "other"))
    for _ in range(2):  # a second set-up
        let_logs_end("one", "other")
    one.info("before")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))  # as a full disk
    for i in range(10):
        one.info("one %d", i)
        other.info("other %d", i)
    """
)


def test_lines_that_do_not_fit(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
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
    assert done.stderr == f"{tmp_path}/log.txt ends here, it can't be written: File too large\n"
