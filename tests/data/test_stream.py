"""What a step sees is a function of (seed, step), on any number of processes."""

from __future__ import annotations

import time
from itertools import islice

import pytest

from detnas_d2.data import DataError, StepBatchSampler

SIZES = {"plain": 23, "groups": [0] * 15 + [7] * 8}


def steps(images, count, **kwargs):
    return list(islice(StepBatchSampler(images, **kwargs), count))


@pytest.mark.parametrize("images", SIZES.values(), ids=SIZES.keys())
def test_a_later_start_gives_the_same_steps_and_positions_count_on(images):
    for start in (1, 11, 5000):
        whole = StepBatchSampler(images, 4, seed=3)
        expected = [whole.batch(i) for i in range(start, start + 30)]
        late = steps(images, 30, total_batch_size=4, seed=3, start_step=start)
        assert late == expected
        assert [p for batch in late for _, p in batch] == [*range(4 * start, 4 * start + 120)]
        assert late != steps(images, 30, total_batch_size=4, seed=1, start_step=start)
    assert steps(images, 41, total_batch_size=4, seed=3)[11:] == steps(
        images, 30, total_batch_size=4, seed=3, start_step=11
    )


@pytest.mark.parametrize("images", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_what_one_process_sees(images, world_size):
    expected = steps(images, 40, total_batch_size=6, seed=1)
    ranks = [
        steps(images, 40, total_batch_size=6, seed=1, rank=r, world_size=world_size)
        for r in range(world_size)
    ]
    for step, whole in enumerate(expected):
        assert sum((batches[step] for batches in ranks), []) == whole
        assert {len(batches[step]) for batches in ranks} == {6 // world_size}


@pytest.mark.parametrize("batch", [1, 4, 50])  # 4 does not divide 23; 50 holds two epochs
def test_each_epoch_visits_each_image_once(batch):
    images = [i for b in steps(23, 400 // batch, total_batch_size=batch, seed=5) for i, _ in b]
    epochs = [images[e : e + 23] for e in range(0, 23 * (len(images) // 23), 23)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


def test_groups_are_pure_and_each_is_an_epoch_stream():
    batches = steps(SIZES["groups"], 600, total_batch_size=4, seed=2)
    seen: dict[int, list[int]] = {0: [], 7: []}
    for batch in batches:
        groups = {SIZES["groups"][i] for i, _ in batch}
        assert len(groups) == 1
        seen[groups.pop()] += [i for i, _ in batch]
    for group, members in ((0, range(15)), (7, range(15, 23))):
        size = len(members)
        for e in range(len(seen[group]) // size):
            assert sorted(seen[group][e * size : (e + 1) * size]) == list(members)
    # in proportion: 15 of 23; four standard deviations of a binomial share of 600 draws
    p = 15 / 23
    assert abs(len(seen[0]) / 2400 - p) < 4 * (p * (1 - p) / 600) ** 0.5


@pytest.mark.parametrize("grouped", [False, True])
def test_a_late_start_on_a_large_set_is_fast(grouped):
    images = [i % 3 == 0 for i in range(118_000)] if grouped else 118_000
    begin = time.perf_counter()
    late = steps(images, 1, total_batch_size=16, seed=0, start_step=90_000)
    assert time.perf_counter() - begin < 1
    assert len(late[0]) == 16


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"images": 0, "total_batch_size": 2}, "no image"),
        ({"images": 5, "total_batch_size": 3, "world_size": 2}, "multiple of 2"),
        ({"images": 5, "total_batch_size": 0}, "total_batch_size=0"),
        ({"images": 5, "total_batch_size": 2, "rank": 2, "world_size": 2}, "Rank 2"),
        ({"images": 5, "total_batch_size": 2, "start_step": -1}, "start_step"),
    ],
)
def test_what_cannot_work_is_refused(kwargs, message):
    with pytest.raises(DataError, match=message):
        StepBatchSampler(**kwargs)
