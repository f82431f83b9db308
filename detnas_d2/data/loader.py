"""The data loaders: training follows the (seed, step) stream, evaluation sees each image once."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.data import MapDataset
from detectron2.data.samplers import InferenceSampler
from detectron2.utils import comm
from torch.utils.data import BatchSampler, DataLoader, Dataset

from detnas_d2.data.errors import DataError, ImageReadError
from detnas_d2.data.records import Record, kept_records
from detnas_d2.data.seeding import derive_seed, seeded
from detnas_d2.data.stream import StepBatchSampler

logger = logging.getLogger(__name__)

_MAP, _WORKERS = 11, 12  # purposes of derived seeds
_PREFETCH = 2  # batches that each worker holds ready


@dataclass(frozen=True)
class _Explaining:
    """A mapper whose errors name the image and are ImageReadErrors."""

    mapper: Callable[[Record], Any]

    def __call__(self, record: Record) -> Any:
        """Raises where the mapper raised or returned None, too. Detectron2 would draw another image
        at random there, and a step would not be a function of its number."""
        try:
            mapped = self.mapper(record)
            if mapped is None:
                raise ValueError("the mapper returned nothing")
        except Exception as error:
            raise ImageReadError(
                f"Image {record.get('file_name', '(without file_name)')} could not be read or "
                f"mapped ({type(error).__name__}: {error}). Repair it and its annotations, or "
                "remove it from the data set."
            ) from error
        return mapped


class SeededMapDataset(Dataset):
    """Maps image ``index`` with all randomness keyed by (seed, position in the stream): what a
    mapper draws from the global generators of Python, numpy or torch, as Detectron2's do."""

    def __init__(self, dataset: Dataset[Record], mapper: Callable[[Record], Any], seed: int):
        self._dataset, self._mapper, self._seed = dataset, _Explaining(mapper), seed

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]

    def __getitem__(self, item: tuple[int, int]) -> Any:
        index, position = item
        record = self._dataset[index]
        with seeded(self._seed, _MAP, position):
            return self._mapper(record)


def build_train_loader(
    dataset: Sequence[Record],
    mapper: Callable[[Record], Any],
    total_batch_size: int,
    *,
    num_workers: int = 0,
    seed: int = 0,
    aspect_ratio_grouping: bool = True,
) -> DataLoader:
    """An endless loader whose batch i is a function of (seed, i).

    It neither reads nor moves the global random states, and yields the same tensors with any
    number of workers. In a distributed run each process gets its share of the global batch.

    Args:
        dataset: dicts in Detectron2's form, e.g. of ``get_detection_dataset_dicts``; kept without
            masks and keypoints where the mapper has no use for them.
        mapper: e.g. a ``DatasetMapper``; must be picklable where processes are spawned.
        total_batch_size: images a step on all processes together.
        aspect_ratio_grouping: batches hold either landscape or other images, which saves padding;
            needs "width" and "height" in each dict.

    Returns:
        A loader of lists of mapped dicts, ``total_batch_size / world size`` long, from the step
        that its batch_sampler's ``start_step`` says, which a trainer sets; of an
        ``ImageBatch`` in their place where the mapper is a ``ClassificationMapper``.

    Raises:
        DataError: see :class:`StepBatchSampler`; or sizes missing for the grouping.
    """
    images: int | list[int] = len(dataset)
    if aspect_ratio_grouping:
        images = [_is_landscape(record) for record in dataset]
    sampler = StepBatchSampler(
        images, total_batch_size, seed, rank=comm.get_rank(), world_size=comm.get_world_size()
    )
    how = _batching(mapper)
    if num_workers and how["collate_fn"] is list:
        _allow_open_files(num_workers * _PREFETCH * total_batch_size // comm.get_world_size())
    return DataLoader(
        SeededMapDataset(kept_records(dataset, mapper), mapper, seed),
        batch_sampler=sampler,
        num_workers=num_workers,
        prefetch_factor=_PREFETCH if num_workers else None,
        # Its own generator: torch would otherwise draw the workers' base seed from the global one.
        generator=torch.Generator().manual_seed(derive_seed(seed, _WORKERS)),
        **how,
    )


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
    images = MapDataset(kept_records(dataset, mapper), _Explaining(mapper))
    return DataLoader(
        images,
        batch_sampler=BatchSampler(InferenceSampler(len(images)), batch_size, drop_last=False),
        num_workers=num_workers,
        **_batching(mapper),
    )


def _batching(mapper: Callable[..., Any]) -> dict[str, Any]:
    """Arguments of a DataLoader: how what `mapper` gives becomes a batch and gets to the model.

    A mapper with a `collate`, such as ``ClassificationMapper``, says so itself, and its batches are
    page-locked where this process uses CUDA already; a process that does not, such as the driver of
    a search, is not made to. Otherwise a batch is a list of dicts, as in Detectron2.
    """
    collate = getattr(mapper, "collate", None)
    return {
        "collate_fn": collate or list,
        "pin_memory": collate is not None and torch.cuda.is_initialized(),
    }


def _is_landscape(record: Record) -> int:
    try:
        return int(record["width"] > record["height"])
    except KeyError as error:
        raise DataError(
            f"Aspect-ratio grouping needs the {error} of image {record.get('file_name')}: add it "
            "to the data set's dicts, or set aspect_ratio_grouping=False."
        ) from error


def _allow_open_files(images: int) -> None:
    """Raises the soft limit of open files, where it may be: torch's workers hand each tensor
    over as a file descriptor, and a mapped image has a handful of them."""
    wanted = 1024 + 8 * images
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        logger.info("Raised the limit of open files from %d to %d for data workers", soft, allowed)
