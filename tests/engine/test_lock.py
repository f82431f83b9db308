"""The lock of an output folder: who is refused, and when it falls."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from detnas_d2.engine.lock import FolderInUse, folder_lock


def test_a_second_run_is_refused(tmp_path):
    with (
        folder_lock(tmp_path / "a"),
        folder_lock(tmp_path / "b", patience=0),
        pytest.raises(FolderInUse, match="Another run writes to"),
        folder_lock(tmp_path / "a", patience=0),
    ):
        pass
    with folder_lock(tmp_path / "a", patience=0):
        pass


def test_it_waits_for_a_run_that_is_just_ending(tmp_path):
    held = threading.Event()

    def hold():
        with folder_lock(tmp_path):
            held.set()
            time.sleep(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    with folder_lock(tmp_path, patience=10):
        pass
    thread.join()


def test_a_killed_run_leaves_no_lock_with_its_data_workers(tmp_path):
    """They are forked, and live on for seconds."""
    reader, writer = os.pipe()
    run = os.fork()
    if run == 0:
        try:
            with folder_lock(tmp_path):
                if os.fork() == 0:
                    os.write(writer, str(os.getpid()).encode())
                time.sleep(60)
        finally:
            os._exit(0)
    worker = int(os.read(reader, 20))
    try:
        with pytest.raises(FolderInUse), folder_lock(tmp_path, patience=0):
            pass
        os.kill(run, signal.SIGKILL)
        os.waitpid(run, 0)
        with folder_lock(tmp_path, patience=0):
            os.kill(worker, 0)  # it is still there
    finally:
        os.kill(worker, signal.SIGKILL)
        os.close(reader)
        os.close(writer)
