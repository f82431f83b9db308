"""One run at a time in an output folder."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import DetNASError

logger = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds for which a run waits for one that is just ending, e.g. saving after a signal."""


class FolderInUse(DetNASError):
    """Another run writes to the output folder."""


@contextmanager
def folder_lock(folder: str, patience: float = PATIENCE) -> Iterator[None]:
    """Hold a folder's lock; it falls with the process, however that ends.

    It is a record lock, which forked children do not have: data workers outlive a killed run by
    seconds, and would keep a lock of flock(2) for so long.

    Raises:
        FolderInUse: another process has held it for `patience` seconds.
    """
    os.makedirs(folder, exist_ok=True)
    deadline = time.monotonic() + patience
    with open(os.path.join(folder, ".lock"), "a") as file:
        told = False
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise FolderInUse(
                        f"Another run writes to {folder!r}. Wait for its end, stop it, or choose "
                        "another train.output_dir."
                    ) from None
            if not told:
                logger.warning("Another run writes to %r; waiting for its end.", folder)
                told = True
            time.sleep(0.2)
        yield
