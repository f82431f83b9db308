"""What all tests share."""

from __future__ import annotations

import logging
import os
import signal

import pytest

# Before torch is imported, and for child processes too: on tensors as small as the tests' a second
# thread costs more than it brings, on a busy machine many times more.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell without job control starts `make test &` with SIGINT ignored, which Python leaves so and
# child processes inherit. Tests send it to themselves and to what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Slow files first: one that begins at the end keeps a single process busy."""
    items.sort(key=lambda item: item.path.parent.name not in ("tools", "integration"))


@pytest.fixture
def bccd_images():
    """Skips where the real images are missing."""
    from detnas_d2.data.builtin import bccd_root

    if not bccd_root().is_dir():
        pytest.skip(f"BCCD is not at {bccd_root()}")


@pytest.fixture(autouse=True)
def _loggers_as_before():
    """Scripts run in-process give loggers handlers on streams that end with their test."""
    loggers = [logging.getLogger(name) for name in ("detectron2", "fvcore", "detnas_d2")]
    before = [(x.handlers[:], x.level, x.propagate) for x in loggers]
    yield
    for x, (handlers, level, propagate) in zip(loggers, before, strict=True):
        x.handlers[:], x.level, x.propagate = handlers, level, propagate
