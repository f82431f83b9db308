"""What all tests share."""

from __future__ import annotations

import os

import pytest

# Before torch is imported, and for child processes too: on tensors as small as the tests' a second
# thread costs more than it brings, on a busy machine many times more.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def bccd_images():
    """Skips where the real images are missing."""
    from detnas_d2.data.bccd import bccd_root

    if not bccd_root().is_dir():
        pytest.skip(f"BCCD is not at {bccd_root()}")
