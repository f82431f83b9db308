"""The images of a search: decoded and resized once, then used for every candidate."""

from __future__ import annotations

import itertools
import logging
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.config import instantiate
from omegaconf import DictConfig

from ..data.image_store import ImageStore
from ..engine.machines import is_cuda

logger = logging.getLogger(__name__)

Image = dict[str, Any]


@dataclass(frozen=True)
class SearchImages:
    """What candidates see; nothing in it depends on an architecture.

    calibration: batches for the batch-norm statistics, their order counts.
    validation: batches of images of one size. positions: their places in the data set, in whose
    order evaluators get the outputs.
    """

    calibration: Sequence[list[Image]]
    validation: Sequence[list[Image]]
    positions: Sequence[tuple[int, ...]]

    def __reduce__(self) -> Any:
        """By pickle the pixels go as NumPy arrays, which Ray's workers map and do not copy."""
        parts = (_each(torch.Tensor.numpy, b) for b in (self.calibration, self.validation))
        return _unpickled, (*parts, self.positions)


def load_images(
    cfg: DictConfig,
    loader: Iterable[list[Image]],
    calibration_batches: int,
    batch_size: int,
    cache_memory: float,
) -> SearchImages:
    """Decode and map the images of ``dataloader.calibration`` and of `loader`, the validation's.

    The first `calibration_batches` batches of the former, whose loader is not made for none, all
    images of the latter in batches of `batch_size`. They are kept in `cache_memory` GiB of memory,
    and what is more in a file in ``train.output_dir``.

    Raises:
        DataError: the disk is full.
    """
    pin = is_cuda(cfg)
    store = ImageStore(int(cache_memory * 2**30), cfg.train.output_dir, pin=pin)
    calibration = []
    if calibration_batches:
        batches = itertools.islice(instantiate(cfg.dataloader.calibration), calibration_batches)
        calibration = list(_kept(batches, store, calibration_batches, "batch-norm"))
    total = len(loader) if isinstance(loader, Sized) else None
    images = list(itertools.chain.from_iterable(_kept(loader, store, total, "validation")))
    positions = group_by_size([image["image"].shape for image in images], batch_size)
    logger.info(
        "%d batches for batch-norm statistics and %d validation images: %.2f GiB in memory, "
        "%.2f GiB on the disk",
        *(len(calibration), len(images), store.in_memory / 2**30, store.on_disk / 2**30),
    )
    validation = [[images[i] for i in batch] for batch in positions]
    return SearchImages(calibration, validation, positions)


def group_by_size(sizes: Sequence[Any], batch_size: int) -> list[tuple[int, ...]]:
    """Batches of the indices of equal sizes, in the order of their first indices.

    In a batch of one size each image is padded as it would be alone, so that batching changes no
    result but by rounding.
    """
    groups: dict[Any, list[int]] = defaultdict(list)
    for index, size in enumerate(sizes):
        groups[size].append(index)
    starts = range(0, len(sizes), batch_size)
    batches = (tuple(g[start : start + batch_size]) for g in groups.values() for start in starts)
    return sorted(batch for batch in batches if batch)


def _kept(
    batches: Iterable[list[Image]], store: ImageStore, total: int | None, what: str
) -> Iterator[list[Image]]:
    start = told = time.monotonic()
    for done, batch in enumerate(batches, start=1):
        yield [{**image, "image": store.keep(image["image"])} for image in batch]
        now = time.monotonic()
        if total and now - told > 10.0:
            told = now
            left = (now - start) / done * (total - done)
            logger.info("Reading the %s images: %d/%d, %.0f s left", what, done, total, left)


def _unpickled(calibration: Any, validation: Any, positions: Any) -> SearchImages:
    with warnings.catch_warnings():  # nothing writes to images
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        calibration, validation = (_each(torch.from_numpy, b) for b in (calibration, validation))
    return SearchImages(calibration, validation, positions)


def _each(change: Callable[[Any], Any], batches: Sequence[list[Image]]) -> list[list[Image]]:
    return [[{**image, "image": change(image["image"])} for image in batch] for batch in batches]
