"""Counting and numbering of paths against enumeration, and against binomials."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detnas_d2.space import CostTable, SpaceError, counting, get_space
from detnas_d2.space.counting import PathCosts


def brute_force(costs):
    """{path: cost} of all paths."""
    return {
        path: sum(row[c] for row, c in zip(costs, path, strict=True))
        for path in itertools.product(*[range(len(row)) for row in costs])
    }


@st.composite
def tables(draw):
    choices = draw(st.integers(1, 3))
    row = st.lists(st.integers(0, 12), min_size=choices, max_size=choices)
    kinds = draw(st.lists(row, min_size=1, max_size=3))
    return draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=6))


@given(tables(), st.integers(-5, 80), st.integers(-5, 80))
def test_numbers_are_a_bijection_onto_the_paths_in_the_range(costs, low, high):
    every = brute_force(costs)
    expected = sorted(path for path, cost in every.items() if low <= cost <= high)
    path_costs = PathCosts(np.array(costs, dtype=np.int64))
    paths = path_costs.between(low, high)
    assert paths.count == len(expected)
    assert sorted(paths.path(i) for i in range(paths.count)) == expected
    assert (path_costs.min, path_costs.max) == (min(every.values()), max(every.values()))


@given(tables(), st.integers(-5, 80), st.integers(0, 10))
def test_neighbours_are_the_nearest_costs_outside(costs, low, width):
    reachable = sorted(set(brute_force(costs).values()))
    high = low + width
    below = [cost for cost in reachable if cost < low]
    above = [cost for cost in reachable if cost > high]
    found = PathCosts(np.array(costs, dtype=np.int64)).neighbours(low, high)
    assert found == (max(below, default=None), min(above, default=None))


def test_index_out_of_range():
    paths = PathCosts(np.array([[1, 2]])).between(0, 5)
    for index in (-1, 2):
        with pytest.raises(IndexError, match=f"path {index} of 2"):
            paths.path(index)


def test_counts_beyond_64_bits():
    costs = PathCosts(np.array([[0, 1]] * 150))
    assert costs.between(0, 150).count == 2**150
    for ones in (0, 1, 75, 149):
        paths = costs.between(ones, ones)
        assert paths.count == math.comb(150, ones)
        assert sum(paths.path(paths.count - 1)) == sum(paths.path(0)) == ones
    assert costs.between(-(10**30), 10**30).count == 2**150
    assert costs.between(10**30, 10**31).count == 0


def test_share_of_the_300m_space_under_300m():
    table = CostTable(get_space("300m"))
    paths = PathCosts(table.block_flops).between(0, 300_000_000 - table.stem_flops)
    # By adding up the distribution block by block, over every reachable sum
    distribution = {table.stem_flops: 1}
    for row in table.block_flops.tolist():
        longer: dict[int, int] = {}
        for total, number in distribution.items():
            for cost in row:
                longer[total + cost] = longer.get(total + cost, 0) + number
        distribution = longer
    assert paths.count == sum(n for flops, n in distribution.items() if flops <= 300_000_000)
    assert math.floor(100 * paths.count / 4**20) == 68


def test_too_many_sums_end_in_an_error(monkeypatch):
    monkeypatch.setattr(counting, "MAX_SUMS", 2000)
    rows = np.random.default_rng(0).integers(2**40, size=(40, 4))
    with pytest.raises(SpaceError, match="too many different costs to count them exactly"):
        PathCosts(rows)
    # many blocks with few different rows are no trouble
    assert PathCosts(np.repeat(rows[:2], [12, 8], axis=0)).between(0, 2**50).count == 4**20
