"""The lock of an output folder: who is refused, and when it falls."""

from __future__ import annotations

import os
import signal
import time

import pytest

from detnas_d2.engine.lock import FolderInUse, folder_lock

SECONDS = 0.5


@pytest.fixture
def run(tmp_path):
    """A run with a data worker, in other processes: (its pid, the worker's), which hold the lock.

    The run ends after SECONDS, the worker, which is forked, after a minute.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with folder_lock(tmp_path):
                worker = os.fork()
                if worker == 0:
                    time.sleep(60)
                os.write(writer, str(worker).encode())
                time.sleep(SECONDS)
        finally:
            os._exit(0)
    worker = int(os.read(reader, 20))
    yield pid, worker
    os.kill(worker, signal.SIGKILL)
    os.close(reader)
    os.close(writer)


def test_a_second_run_is_refused_or_waits_for_the_end_of_the_first(tmp_path, run):
    with (
        folder_lock(tmp_path / "another", patience=0),
        pytest.raises(FolderInUse, match="Another run writes to"),
        folder_lock(tmp_path, patience=0),
    ):
        pass
    start = time.monotonic()
    with folder_lock(tmp_path, patience=10):
        assert time.monotonic() - start > SECONDS / 10
    os.waitpid(run[0], 0)


def test_a_killed_run_leaves_no_lock_with_its_data_workers(tmp_path, run):
    pid, worker = run
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with folder_lock(tmp_path, patience=0):
        os.kill(worker, 0)  # it is still there
