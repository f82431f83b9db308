"""The lock of an output folder: who is refused, and when it falls."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from detnas_d2.engine.lock import FolderInUse, folder_lock


def test_a_killed_run_leaves_no_lock_with_its_data_workers(tmp_path):
    """Until then a second run is refused, or waits."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with folder_lock(tmp_path):
                worker = os.fork()
                if worker == 0:
                    time.sleep(60)
                os.write(writer, str(worker).encode())
                time.sleep(60)
        finally:
            os._exit(0)
    worker = int(os.read(reader, 20))
    with pytest.raises(FolderInUse, match="Another run writes to"), folder_lock(tmp_path, 0):
        pass
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    start = time.monotonic()
    with folder_lock(tmp_path, patience=10):
        assert time.monotonic() - start > 0.2
        os.kill(worker, signal.SIGKILL)  # it was still there
    os.waitpid(pid, 0)
    os.close(reader)
    os.close(writer)
