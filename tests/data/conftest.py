"""A small digits set, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from detnas_d2.data import (
    DigitsParameters,
    register_digits,
    unregister_dataset,
    write_digits,
)
from detnas_d2.data.digits import _names

SMALL = DigitsParameters(
    image_size=64,
    classes=(0, 1, 7),
    images=(12, 6, 6),
    digits_per_image=(1, 3),
    digit_size=(16, 28),
    cls_image_size=32,
    cls_images_per_class=(3, 2),
)


@pytest.fixture(scope="session")
def digits_root(tmp_path_factory) -> Path:
    return write_digits(tmp_path_factory.mktemp("data") / "digits", SMALL)


@pytest.fixture
def digits(digits_root):
    """The small set, registered in place of the built-in one for one test."""
    register_digits(digits_root)
    yield digits_root
    for name in _names():
        unregister_dataset(name)
    register_digits(is_default=True)


BCCD = Path(__file__).resolve().parents[3] / "shared" / "data" / "bccd"


@pytest.fixture
def bccd() -> Path:
    if not BCCD.is_dir():
        pytest.skip(f"BCCD is not at {BCCD}")
    return BCCD
