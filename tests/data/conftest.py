"""A small digits set, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from detnas_d2.data import (
    DigitsParameters,
    register_builtin_datasets,
    unregister_dataset,
    write_digits,
)
from projects.DetNAS.paper.voc_form import register_voc

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
def datasets(monkeypatch):
    """Looks for the built-in sets in another folder for one test."""

    def datasets(root: Path) -> None:
        monkeypatch.setenv("DETECTRON2_DATASETS", str(root))
        register_builtin_datasets()

    yield datasets
    monkeypatch.undo()
    register_builtin_datasets()


@pytest.fixture
def digits(digits_root, datasets):
    """The small set in place of the built-in one for one test."""
    datasets(digits_root.parent)
    return digits_root


@pytest.fixture
def digits_voc(digits):
    """The same in VOC's form, under names of digits_voc_*."""
    names = register_voc(digits)
    yield digits
    for name in names:
        unregister_dataset(name)
    for part in ("Annotations", "ImageSets"):
        shutil.rmtree(digits / part)


BCCD = Path(__file__).resolve().parents[3] / "shared" / "data" / "bccd"


@pytest.fixture
def bccd() -> Path:
    if not BCCD.is_dir():
        pytest.skip(f"BCCD is not at {BCCD}")
    return BCCD
