"""Path samplers: functions of (seed, iteration), uniform, and within their range."""

import itertools
import subprocess
import sys
import time

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
    UniformPathSampler,
    XceptionChoice,
    get_space,
)

KNOWN_UNIFORM = [
    "3,2,2,1,1,0,0,0,0,3,2,3,2,2,3,2,2,2,2,3",
    "2,3,3,2,1,3,0,3,3,0,0,0,1,3,1,0,0,2,3,2",
]
KNOWN_RANGED = [
    "1,3,3,0,1,3,2,1,2,2,1,1,3,2,3,1,0,1,2,3",
    "0,2,2,2,2,1,1,2,2,1,2,3,3,0,1,1,1,0,0,3",
]
KNOWN_BINNED = [
    "3,1,1,2,0,0,0,2,0,0,2,1,1,0,0,1,3,3,3,2",
    "3,3,1,3,1,2,1,3,2,3,2,1,2,2,0,1,1,1,3,3",
]
SMALL = SearchSpace("small", 4, (Stage(8, 2), Stage(20, 2)), (ShuffleChoice(3), XceptionChoice()))
RANGE = (256_863_360, 326_863_360)  # that of the published ImageNet supernet, in seven bins
PUBLISHED = [
    "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2",  # COCO, FPN
    "2,3,1,1,3,2,1,3,3,1,1,1,3,3,2,0,3,3,3,3",  # COCO, RetinaNet
    "2,1,0,3,1,3,0,3,2,0,1,1,3,3,3,3,3,3,3,1",  # VOC, FPN
]
VOC_RETINANET = "1,3,0,0,2,3,3,3,2,3,3,3,3,2,2,0,2,3,1,1"


def chi_square(counts, expected):
    return float(((np.array(counts) - expected) ** 2 / expected).sum())


def samplers(seed):
    return [
        UniformPathSampler("300m", seed),
        UniformPathSampler(get_space("1.3g"), seed),
        FlopsRangePathSampler("300m", seed, *RANGE, bins=7),
        FlopsRangePathSampler(get_space("1.3g"), seed, 1.2e9, 1.3e9),
    ]


def test_known_paths():
    """The first paths of seed 0, so that no release changes a training by accident."""
    uniform = UniformPathSampler("300m", 0)
    ranged = FlopsRangePathSampler("300m", 0, 290e6, 360e6)
    binned = FlopsRangePathSampler("300m", 0, *RANGE, bins=7)
    assert [str(uniform(i)) for i in (0, 1)] == KNOWN_UNIFORM
    assert [str(ranged(i)) for i in (0, 1)] == KNOWN_RANGED
    assert [str(binned(i)) for i in (0, 1)] == KNOWN_BINNED


def test_order_and_repetition_do_not_matter():
    for first, second in zip(samplers(7), samplers(7), strict=True):
        forward = [first(i) for i in range(20)]
        assert forward == [second(i) for i in reversed(range(20))][::-1]
        assert forward == [first(i) for i in range(20)]
        assert len(set(forward)) == 20
        assert all(isinstance(a, Architecture) and a.space == first.space for a in forward)


def test_global_random_state_is_neither_read_nor_moved():
    sampler = UniformPathSampler("300m", 3)
    np.random.seed(0)
    expected, before = sampler(5), np.random.get_state()[1].tolist()
    np.random.seed(1)
    assert sampler(5) == expected
    np.random.seed(0)
    sampler(5)
    assert np.random.get_state()[1].tolist() == before


def test_another_process_draws_the_same():
    code = (
        "from detnas_d2.space import *\n"
        "print(UniformPathSampler('1.3g', 2**40)(90_000))\n"
        "print(FlopsRangePathSampler('1.3g', 5, 1.2e9, 1.3e9)(90_000))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == [
        str(UniformPathSampler("1.3g", 2**40)(90_000)),
        str(FlopsRangePathSampler("1.3g", 5, 1.2e9, 1.3e9)(90_000)),
    ]


def test_seeds_differ():
    for first, second in zip(samplers(0), samplers(1), strict=True):
        assert [first(i) for i in range(5)] != [second(i) for i in range(5)]


def test_uniform_over_each_block_and_over_pairs_of_blocks():
    sampler = UniformPathSampler("300m", 0)
    paths = np.array([sampler(i).choices for i in range(4000)])
    per_block = [chi_square(np.bincount(column, minlength=4), 1000) for column in paths.T]
    assert sum(per_block) < 99.6  # 99.9% quantile of chi-square with 20 * 3 degrees of freedom
    pairs = [
        chi_square(np.bincount(paths[:, i] * 4 + paths[:, i + 1], minlength=16), 250)
        for i in range(0, 20, 2)
    ]
    assert sum(pairs) < 209.3  # 10 * 15 degrees


def test_uniform_over_a_whole_space():
    sampler = UniformPathSampler(SMALL, 1)
    paths = [sampler(i).choices for i in range(3200)]
    counts = [paths.count(path) for path in itertools.product(range(2), repeat=4)]
    assert chi_square(counts, 200) < 37.7  # 15 degrees


def flops_of_all(space):
    table = CostTable(space, (64, 96))
    return {
        path: table.flops(Architecture(space, path))
        for path in itertools.product(range(2), repeat=4)
    }


def test_uniform_over_the_range():
    flops = flops_of_all(SMALL)
    low, high = sorted(flops.values())[3], sorted(flops.values())[13]
    inside = [path for path, f in flops.items() if low <= f <= high]
    assert 8 <= len(inside) < 16
    sampler = FlopsRangePathSampler(SMALL, 0, low, high, input_size=(64, 96))
    assert sampler.counts == (len(inside),)
    paths = [sampler(i).choices for i in range(200 * len(inside))]
    assert set(paths) == set(inside)
    assert chi_square([paths.count(path) for path in inside], 200) < 37.7  # at most 15 degrees


def test_each_bin_equally_often_and_uniform_inside():
    """Over all paths of a small space: the bins hold 4, 8 and 4 of them."""
    flops = flops_of_all(SMALL)
    low, high = min(flops.values()), max(flops.values())
    sampler = FlopsRangePathSampler(SMALL, 0, low, high, (64, 96), bins=3)
    width = (high - low) / 3
    bins = [[p for p, f in flops.items() if i <= (f - low) / width <= i + 1] for i in range(3)]
    assert sampler.counts == tuple(map(len, bins)) == (4, 8, 4)
    paths = [sampler(i).choices for i in range(9600)]
    drawn = [[paths.count(path) for path in inside] for inside in bins]
    assert sum(map(sum, drawn)) == 9600
    assert chi_square([sum(counts) for counts in drawn], 3200) < 13.8  # 2 degrees
    within = [chi_square(counts, sum(counts) / len(counts)) for counts in drawn]
    assert sum(within) < 34.5  # 16 - 3 degrees


def test_a_path_on_the_edge_of_two_bins_is_in_both():
    flops = flops_of_all(SMALL)
    edge = sorted(set(flops.values()))[3]
    sampler = FlopsRangePathSampler(SMALL, 0, edge - 10_000, edge + 10_000, (64, 96), bins=2)
    below = sum(edge - 10_000 <= f <= edge for f in flops.values())
    above = sum(edge <= f <= edge + 10_000 for f in flops.values())
    assert sampler.counts == (below, above)


def test_bins_of_the_published_range_are_drawn_equally_often():
    sampler = FlopsRangePathSampler("300m", 0, *RANGE, bins=7)
    table = CostTable(sampler.space)
    flops = table.flops(np.array([sampler(i).choices for i in range(3500)]))
    counts, edges = np.histogram(flops, bins=7, range=RANGE)
    assert edges.tolist() == [RANGE[0] + i * 10**7 for i in range(8)]
    assert counts.sum() == 3500
    assert chi_square(counts, 500) < 22.5  # 6 degrees


def test_the_published_range_holds_997_in_1000_paths():
    """Each block's costs by formula, their histograms convolved: neither table nor counting."""
    unit = 3136  # divides every cost of a block at 224x224
    histogram, low = np.ones(1, np.int64), 16 * 27 * 112 * 112
    inp, height = 16, 112
    for channels, repeats in ((64, 4), (160, 4), (320, 8), (640, 4)):
        for block in range(repeats):
            costs = [block_cost(k, inp, channels, height, block == 0) for k in (3, 5, 7, None)]
            inp, height = channels, height // 2 if block == 0 else height
            steps = [divmod(cost - min(costs), unit) for cost in costs]
            kernel = np.zeros(max(steps)[0] + 1, np.int64)
            for step, rest in steps:
                assert rest == 0
                kernel[step] += 1
            histogram, low = np.convolve(histogram, kernel), low + min(costs)
    flops = low + unit * np.arange(len(histogram))
    edges = [RANGE[0] + i * 10**7 for i in range(8)]
    inside = [
        int(histogram[(low <= flops) & (flops <= high)].sum())
        for low, high in itertools.pairwise(edges)
    ]
    assert histogram.sum() == 4**20
    assert round(sum(inside) / 4**20, 4) == 0.9972
    assert FlopsRangePathSampler("300m", 0, *RANGE, bins=7).counts == tuple(inside)


def block_cost(kernel, inp, out, height, down):
    """Multiply-adds of a block over a square input; kernel None is Xception."""
    before, after = height**2, (height // 2) ** 2 if down else height**2
    m, rest, src = out // 2, out - inp if down else out // 2, inp if down else out // 2
    k = kernel or 3
    projection = after * (k * k * inp + inp * inp) if down else 0
    if kernel is None:
        return after * (9 * src + src * m + 9 * m + m * m + 9 * m + m * rest) + projection
    return before * src * m + after * (k * k * m + m * rest) + projection


def test_published_networks_are_in_the_published_range():
    table = CostTable(get_space("300m"))
    low, high = RANGE
    for architecture in PUBLISHED:
        assert low <= table.flops(Architecture.parse(architecture, table.space)) <= high
    # this one lies 0.2% above it, and its makers' sampler never drew it from a bin
    above = table.flops(Architecture.parse(VOC_RETINANET, table.space)) - high
    assert above == 625_984


@pytest.mark.parametrize(
    ("space", "low", "high", "size"),
    [
        ("300m", *RANGE, (224, 224)),
        ("300m", 0, 300e6, (224, 224)),
        ("1.3g", 1.25e9, 1.2501e9, (224, 224)),
        ("3.8g", 3.7e9, 4.0e9, (224, 224)),
        ("demo", 20e6, 22e6, (160, 160)),
    ],
)
def test_range_is_respected_and_ready_soon(space, low, high, size):
    start = time.perf_counter()
    sampler = FlopsRangePathSampler(space, 0, low, high, size)
    assert time.perf_counter() - start < 2
    table = CostTable(sampler.space, size)
    flops = [table.flops(sampler(i)) for i in range(50)]
    assert low <= min(flops) <= max(flops) <= high
    assert len(set(flops)) > 1


def test_the_whole_range_is_the_whole_space():
    assert FlopsRangePathSampler("1.3g", 0, 0, 1e12).counts == (4**40,)


def test_a_range_of_one_path_gives_that_path():
    table = CostTable(get_space("300m"))
    sampler = FlopsRangePathSampler("300m", 0, 0, table.min_flops)
    assert sampler.counts == (1,)
    assert {sampler(i) for i in range(3)} == {table.cheapest()}


def test_impossible_ranges_are_refused_with_the_nearest_values():
    with pytest.raises(
        SpaceError,
        match="no path of space '300m' has from 100,000,000 to 200,000,000 multiply-adds at "
        "224x224; its paths have from 237,222,720 to 365,472,576, and nearest to the range are "
        "237,222,720$",
    ):
        FlopsRangePathSampler("300m", 0, 100_000_000, 200_000_000)
    with pytest.raises(SpaceError, match="nearest to the range are 365,472,576$"):
        FlopsRangePathSampler("300m", 0, 365_472_577, 10**40)
    table = CostTable(SMALL)
    every = sorted(
        {table.flops(Architecture(SMALL, p)) for p in itertools.product(range(2), repeat=4)}
    )
    for below, above in itertools.pairwise(every):
        with pytest.raises(SpaceError, match=f"are {below:,} and {above:,}$"):
            FlopsRangePathSampler(SMALL, 0, below + 1, above - 1)
        assert FlopsRangePathSampler(SMALL, 0, below + 1, above).counts[0] >= 1


def test_an_empty_bin_is_refused_and_named():
    with pytest.raises(
        SpaceError,
        match=r"no path of space '300m' has from 230,000,000 to 235,000,000.0 multiply-adds at "
        r"224x224 \(bin 1 of 20: take fewer, or another range\); .* are 237,222,720$",
    ):
        FlopsRangePathSampler("300m", 0, 230_000_000, 330_000_000, bins=20)


@pytest.mark.parametrize("bins", [0, -1, 1.5, "7", None, True])
def test_wrong_numbers_of_bins_are_refused(bins):
    with pytest.raises(SpaceError, match=f"bins is {bins!r}; expected an integer of at least 1"):
        FlopsRangePathSampler("300m", 0, *RANGE, bins=bins)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (300e6, 290e6, "low is 300,000,000.0 and high 290,000,000.0; expected low <= high"),
        ("290M", 300e6, "low is '290M'; expected a number of multiply-adds"),
        (0, float("inf"), "high is inf"),
        (float("nan"), 1, "low is nan"),
        (True, 1, "low is True"),
        (None, 1, "low is None"),
    ],
)
def test_wrong_ranges_are_refused(low, high, message):
    with pytest.raises(SpaceError, match=message):
        FlopsRangePathSampler("300m", 0, low, high)


@pytest.mark.parametrize("value", [-1, 1.0, None, "0", True])
def test_wrong_seeds_and_iterations_are_refused(value):
    with pytest.raises(SpaceError, match=f"the seed is {value!r}; expected an integer of at"):
        UniformPathSampler("demo", value)
    with pytest.raises(SpaceError, match=f"the iteration is {value!r}; expected an integer"):
        UniformPathSampler("demo", 0)(value)
