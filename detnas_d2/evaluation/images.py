"""The images of a search: decoded and resized once, then used for every candidate."""

from __future__ import annotations

import itertools
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any

from detectron2.config import instantiate
from omegaconf import DictConfig

from ..data.image_store import ImageStore
from ..engine import LazyTrainer

logger = logging.getLogger(__name__)

_REPORT_EVERY = 10.0  # seconds

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


def load_images(cfg: DictConfig, trainer: type[LazyTrainer] = LazyTrainer) -> SearchImages:
    """Decode and map the images of ``dataloader.calibration`` and ``dataloader.test``.

    The first ``search.calibration_batches`` batches of the former, all images of the latter in
    batches of ``search.batch_size``. They are kept in ``search.cache_memory`` GiB of memory, and
    what is more in a file in ``train.output_dir``.

    Raises:
        DataError: the disk is full.
    """
    settings = cfg.search
    store = ImageStore(
        int(settings.cache_memory * 2**30),
        cfg.train.output_dir,
        pin=str(cfg.train.device).startswith("cuda"),
    )
    count = settings.calibration_batches
    batches = itertools.islice(iter(instantiate(cfg.dataloader.calibration)), count)
    calibration = list(_kept(batches, store, count, "batch-norm"))
    loader = trainer.build_test_loader(cfg, cfg.dataloader.test.dataset.names)
    total = len(loader) if isinstance(loader, Sized) else None
    images = list(itertools.chain.from_iterable(_kept(loader, store, total, "validation")))
    positions = group_by_size([image["image"].shape for image in images], settings.batch_size)
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
    batches = [
        tuple(group[start : start + batch_size])
        for group in groups.values()
        for start in range(0, len(group), batch_size)
    ]
    return sorted(batches)


def _kept(
    batches: Iterable[list[Image]], store: ImageStore, total: int | None, what: str
) -> Iterator[list[Image]]:
    start = told = time.monotonic()
    for done, batch in enumerate(batches, start=1):
        yield [{**image, "image": store.keep(image["image"])} for image in batch]
        now = time.monotonic()
        if total and now - told > _REPORT_EVERY:
            told = now
            left = (now - start) / done * (total - done)
            logger.info("Reading the %s images: %d/%d, %.0f s left", what, done, total, left)
