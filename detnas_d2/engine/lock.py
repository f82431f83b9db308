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

    Raises:
        FolderInUse: another process has held it for `patience` seconds.
    """
    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(os.path.join(folder, ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    _descriptors.add(descriptor)
    try:
        deadline = time.monotonic() + patience
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
    finally:
        if descriptor in _descriptors:
            _descriptors.remove(descriptor)
            os.close(descriptor)


# Data workers fork, and outlive a process that was killed by the seconds that they need to see it.
# They would keep the lock for so long, so they drop it when they start.
_descriptors: set[int] = set()


def _drop_in_child() -> None:
    while _descriptors:
        os.close(_descriptors.pop())


os.register_at_fork(after_in_child=_drop_in_child)
