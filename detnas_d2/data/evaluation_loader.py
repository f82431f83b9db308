"""The evaluation loader: every image once, in order, in batches on both Detectron2 versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from detectron2.data import MapDataset
from detectron2.data.samplers import InferenceSampler
from torch.utils.data import BatchSampler, DataLoader

from .batch import batching
from .errors import DataError
from .image_files import Explaining
from .records import Record, kept_records


def build_test_loader(
    dataset: Sequence[Record],
    mapper: Callable[[Record], Any],
    *,
    batch_size: int = 1,
    num_workers: int = 0,
) -> DataLoader[Any]:
    """Like ``build_detection_test_loader``, whose `batch_size` release 0.6 lacks.

    Args:
        dataset: dicts in Detectron2's form, each evaluated once; processes share them.
        mapper: maps a dict to a model input, without randomness.
        batch_size: images a batch in each process.
        num_workers: data workers of each process.

    Returns:
        A loader of lists of mapped dicts, or of ``ImageBatch``, as of `build_train_loader`.

    Raises:
        DataError: an empty data set.
        ImageReadError: while it is read, an image that can't be.
    """
    if not len(dataset):
        raise DataError(
            "The data set to evaluate on (dataloader.test) holds no image; choose another, or "
            "add images to it."
        )
    images = MapDataset(kept_records(dataset, mapper), Explaining(mapper))
    return DataLoader(
        images,
        batch_sampler=BatchSampler(InferenceSampler(len(images)), batch_size, drop_last=False),
        num_workers=num_workers,
        **batching(mapper),
    )
