"""Path samplers: functions of (seed, iteration), uniform, and within their range."""

import itertools

import numpy as np
import pytest

from detnas_d2.space import (
    Architecture,
    CostTable,
    FlopsRangePathSampler,
    SearchSpace,
    ShuffleChoice,
    SpaceError,
    Stage,
    StrictlyFairPathSampler,
    UniformPathSampler,
    XceptionChoice,
    get_space,
)

SMALL = SearchSpace("small", 4, (Stage(8, 2), Stage(20, 2)), (ShuffleChoice(3), XceptionChoice()))
RANGE = (256_863_360, 326_863_360)  # that of the published ImageNet supernet, in seven bins


def chi_square(counts, expected):
    return float(((np.array(counts) - expected) ** 2 / expected).sum())


def samplers(seed):
    return [
        UniformPathSampler("300m", seed),
        FlopsRangePathSampler("300m", seed, *RANGE, bins=7),
        FlopsRangePathSampler(get_space("1.3g"), seed, 1.25e9, 1.2501e9),
        StrictlyFairPathSampler("300m", seed),
    ]


def test_known_paths():
    """The first paths of seed 0, so that no release changes a training by accident."""
    uniform, binned, narrow, _ = samplers(0)
    assert str(narrow(0)).startswith("1,2,3,2,1,2,0,3,2,3,2,3,2,1,2,1,3,3,1,2,2,3,3,3,1,2,1,3,3,0")
    assert 1.25e9 <= CostTable(narrow.space).flops(narrow(0)) <= 1.2501e9
    assert [str(uniform(i)) for i in (0, 1)] == [
        "3,2,2,1,1,0,0,0,0,3,2,3,2,2,3,2,2,2,2,3",
        "2,3,3,2,1,3,0,3,3,0,0,0,1,3,1,0,0,2,3,2",
    ]
    assert [str(binned(i)) for i in (0, 1)] == [
        "2,2,0,1,2,3,3,3,1,2,2,2,3,0,2,0,1,0,0,3",
        "2,3,3,1,3,0,1,3,3,1,1,3,0,2,2,2,0,3,1,3",
    ]


def test_strictly_fair():
    """Each iteration runs every choice of every block once."""
    space = get_space("300m")
    sampler = StrictlyFairPathSampler(space, 3)
    assert sampler.passes == 4 and StrictlyFairPathSampler(SMALL, 0).passes == 2
    paths = np.array([sampler(i).choices for i in range(4 * 30)]).reshape(30, 4, -1)
    assert (np.sort(paths, axis=1) == np.arange(4)[:, None]).all()
    # uniform, and the blocks' orders are independent of one another
    assert chi_square(np.bincount(paths[:, 0].ravel()), 150) < 3 + 4 * np.sqrt(6)
    assert len({tuple(p[:, b]) for p in paths for b in range(20)}) == 24


def test_order_and_other_random_numbers_do_not_matter():
    for first, second, other in zip(samplers(7), samplers(7), samplers(8), strict=True):
        forward = [first(i) for i in range(8)]
        np.random.seed(1)
        assert forward == [second(i) for i in reversed(range(8))][::-1]
        assert len(set(forward)) == 8 and forward != [other(i) for i in range(8)]
        assert all(isinstance(a, Architecture) and a.space == first.space for a in forward)


def test_each_bin_equally_often_and_uniform_inside():
    """Over all paths of a small space: the bins hold 4, 8 and 4 of them."""
    table = CostTable(SMALL, (64, 96))
    flops = {p: table.flops(p) for p in itertools.product(range(2), repeat=4)}
    low, high = min(flops.values()), max(flops.values())
    sampler = FlopsRangePathSampler(SMALL, 0, low, high, (64, 96), bins=3)
    width = (high - low) / 3
    bins = [[p for p, f in flops.items() if i <= (f - low) / width <= i + 1] for i in range(3)]
    assert [len(paths) for paths in bins] == [4, 8, 4]
    paths = [sampler(i).choices for i in range(4800)]
    drawn = [[paths.count(path) for path in inside] for inside in bins]
    assert sum(map(sum, drawn)) == 4800
    assert chi_square([sum(counts) for counts in drawn], 1600) < 13.8  # 2 degrees
    within = [chi_square(counts, sum(counts) / len(counts)) for counts in drawn]
    assert sum(within) < 34.5  # 16 - 3 degrees

    low, high = sorted(flops.values())[3], sorted(flops.values())[13]  # the ends are in it
    sampler = FlopsRangePathSampler(SMALL, 0, low, high, input_size=(64, 96))
    inside = {path for path, f in flops.items() if low <= f <= high}
    assert {sampler(i).choices for i in range(500)} == inside and 8 <= len(inside) < 16


@pytest.mark.parametrize(
    ("low", "high", "bins", "message"),
    [
        (
            *(100_000_000, 200_000_000, 1),
            "no path of space '300m' has from 100,000,000 to 200,000,000 multiply-adds at 224x224; "
            "its paths have from 237,222,720 to 365,472,576$",
        ),
        (365_472_577, 10**40, 1, "^no path"),
        (
            *(230_000_000, 330_000_000, 20),
            r"no path .* from 230,000,000 to 235,000,000.0 .* \(bin 1 of 20: take fewer, or",
        ),
        (237_222_721, 237_222_722, 1, "none of 256,000 random paths of space '300m' has from"),
        (300e6, 290e6, 1, "low is 300,000,000.0 and high 290,000,000.0; expected low <= high"),
        *((low, 1, 1, f"low is {low!r}; expected a num") for low in ("290M", float("nan"), True)),
        *((*RANGE, n, f"bins is {n!r}; expected an integer of") for n in (0, 1.5, "7", True)),
    ],
)
def test_wrong_ranges_are_refused(low, high, bins, message):
    with pytest.raises(SpaceError, match=message):
        FlopsRangePathSampler("300m", 0, low, high, bins=bins)


@pytest.mark.parametrize("value", [-1, 1.0, "0", True])
def test_wrong_seeds_and_iterations_are_refused(value):
    with pytest.raises(SpaceError, match=f"the seed is {value!r}; expected an integer of at"):
        UniformPathSampler("demo", value)
    with pytest.raises(SpaceError, match=f"the pass is {value!r}; expected an integer"):
        UniformPathSampler("demo", 0)(value)
