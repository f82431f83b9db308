"""The train loader: identical images with any workers, at any start, on any Detectron2."""

from __future__ import annotations

import resource
from functools import partial
from itertools import islice

import numpy as np
import pytest
import torch
from detectron2.data import DatasetMapper, get_detection_dataset_dicts
from detectron2.data import transforms as T

from detnas_d2.data import (
    ClassificationMapper,
    DataError,
    ImageReadError,
    build_test_loader,
    build_train_loader,
)


def mapper():
    return DatasetMapper(
        is_train=True,
        augmentations=[
            T.ResizeShortestEdge([48, 64, 80], max_size=100, sample_style="choice"),
            T.RandomBrightness(0.5, 1.5),
            T.RandomFlip(),
        ],
        image_format="BGR",
    )


def loader(seed=6, **kwargs):
    records = get_detection_dataset_dicts("digits_train", filter_empty=True)
    return build_train_loader(records, mapper(), 4, seed=seed, **kwargs)


def batches(count, **kwargs):
    return list(islice(loader(**kwargs), count))


def same(a, b):
    """Of two lists of batches."""
    return all(
        x["file_name"] == y["file_name"]
        and torch.equal(x["image"], y["image"])
        and torch.equal(x["instances"].gt_boxes.tensor, y["instances"].gt_boxes.tensor)
        for x, y in zip(sum(a, []), sum(b, []), strict=True)
    )


def test_a_resumed_stream_goes_on_bit_identically(digits):
    """With any workers; global random states neither matter nor move."""
    expected = batches(9)  # three epochs of 12 images
    assert [len(batch) for batch in expected] == [4] * 9
    images = {}
    for x in sum(expected, []):  # as Detectron2's mapper gives it, and differently each time
        assert x["image"].dtype == torch.uint8 and len(x["instances"]) >= 1
        images.setdefault(x["file_name"], []).append(x["image"])
    assert all(not all(map(partial(torch.equal, v[0]), v[1:])) for v in images.values())
    assert not same(batches(2, seed=7), expected[:2])
    torch.manual_seed(99), np.random.seed(99)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    for num_workers in (0, 2):
        resumed = loader(num_workers=num_workers)
        resumed.batch_sampler.start_step = 4
        assert same(list(islice(resumed, 5)), expected[4:])
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_aspect_ratio_groups_need_sizes():
    records = [{"file_name": f"{i}.png", "width": 3 + i % 2, "height": 3} for i in range(9)]
    ids = list(islice(build_train_loader(records, lambda r: r["file_name"], 2), 30))
    assert all(int(a[0]) % 2 == int(b[0]) % 2 for a, b in ids)
    with pytest.raises(DataError, match="aspect_ratio_grouping=False"):
        build_train_loader([{"file_name": "a.png", "height": 3}], len, 1)
    mixed = build_train_loader(records, lambda r: r["file_name"], 9, aspect_ratio_grouping=False)
    assert sorted(next(iter(mixed))) == [f"{i}.png" for i in range(9)]


def test_a_mapper_may_change_what_it_gets():
    records = [{"file_name": "a", "annotations": [1, 2]}]
    grouping = {"aspect_ratio_grouping": False}
    train = build_train_loader(records, lambda r: r["annotations"].pop(), 1, **grouping)
    assert list(islice(train, 3)) == [[2], [2], [2]]
    test = build_test_loader(records, lambda r: r["annotations"].pop())
    assert [list(test), list(test)] == [[[2]], [[2]]]
    assert records == [{"file_name": "a", "annotations": [1, 2]}]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_damaged_image_stops_with_its_name(tmp_path, num_workers):
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    records = [{"file_name": str(path), "width": 4, "height": 4, "annotations": []}]
    stream = build_train_loader(records, mapper(), 1, num_workers=num_workers)
    with pytest.raises(
        ImageReadError, match=r"^Image \S*broken\.png could not .* Repair it"
    ) as caught:
        next(iter(stream))
    assert "Traceback" not in str(caught.value)
    del caught  # it holds torch's iterator in a cycle, in which that ends its workers slowly
    nothing = build_train_loader(records, lambda r: None, 1)
    with pytest.raises(ImageReadError, match=r"^Image \S*broken\.png .*returned nothing"):
        next(iter(nothing))


def test_the_limit_of_open_files_is_raised_for_workers(digits):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        loader(num_workers=0)
        # a classifier's batch is one tensor
        stacked = ClassificationMapper(True, augmentations=[])
        build_train_loader(get_detection_dataset_dicts("digits_train"), stacked, 4, num_workers=2)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 512
        loader(num_workers=2)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 1024
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
