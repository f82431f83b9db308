"""A classification batch is one tensor, and is read like the list of dicts that it was."""

from __future__ import annotations

import os
from itertools import islice

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from detnas_d2.data import (
    ClassificationMapper,
    ImageBatch,
    build_test_loader,
    build_train_loader,
    imagenet_test_augmentations,
    imagenet_train_augmentations,
)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(10):
        pixels = rng.integers(256, size=(30 + i, 50 - i, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return [
        {"file_name": str(folder / f"{i}.png"), "category_id": i % 3, "image_id": i}
        for i in range(10)
    ]


class Listed(ClassificationMapper):
    """As a user's own mapper: its batches are lists."""

    collate = None


def train_loader(records, mapper=ClassificationMapper, **kwargs):
    augmentations = imagenet_train_augmentations(size=24)
    own = mapper(True, augmentations=augmentations)
    return build_train_loader(records, own, 4, seed=5, aspect_ratio_grouping=False, **kwargs)


def same(batches, expected):
    """As dicts, in the order of their keys, too."""
    a, b = (
        [[dict(sorted(x.items())) for x in batch] for batch in both] for both in (batches, expected)
    )
    return tiny.same(a, b)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_images_are_those_of_lists(records, num_workers):
    lists = list(islice(train_loader(records, Listed), 5))
    assert all(type(batch) is list for batch in lists)
    batches = list(islice(train_loader(records, num_workers=num_workers), 5))
    assert same(batches, lists)
    for batch, images in zip(batches, lists, strict=True):
        assert isinstance(batch, ImageBatch) and len(batch) == 4
        assert torch.equal(batch.images, torch.stack([image["image"] for image in images]))
        assert batch.images.dtype == torch.uint8 and tiny.same(batch[-1], images[-1])


def test_images_of_an_evaluation(records):
    """Those of several sizes stay a list."""
    augmentations = imagenet_test_augmentations(size=20, resize=24)
    batches, lists = (
        list(build_test_loader(records, mapper(False, augmentations=augmentations), batch_size=4))
        for mapper in (ClassificationMapper, Listed)
    )
    assert [batch.images.shape[0] for batch in batches] == [4, 4, 2]
    assert same(batches, lists)
    mapper = ClassificationMapper(False, augmentations=[])
    (batch, *_) = build_test_loader(records, mapper, batch_size=4)
    assert type(batch) is list and len({x["image"].shape for x in batch}) == 4


def test_a_batch_of_a_worker_opens_one_file(records):
    def opened(mapper):
        stream = iter(train_loader(records, mapper, num_workers=1))
        batches = [next(stream)]
        before = len(os.listdir("/proc/self/fd"))
        batches.append(next(stream))
        return len(os.listdir("/proc/self/fd")) - before

    assert (opened(ClassificationMapper), opened(Listed)) == (1, 4)
