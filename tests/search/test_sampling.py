"""Random architectures under a limit, small and large spaces."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from detnas_d2.search import CostLimit, CostLimits, LimitError, SearchError, sampling
from detnas_d2.space import Architecture


def rng(seed=0):
    return np.random.default_rng(seed)


def everything(space):
    product = itertools.product(range(space.num_choices), repeat=space.num_blocks)
    return [Architecture(space, choices) for choices in product]


def test_small_space_is_drawn_uniformly(tiny):
    limit = CostLimits(tiny, ())
    drawn = [sampling.draw_unseen(tiny, 1, set(), limit, rng(s))[0] for s in range(2700)]
    counts = [drawn.count(a) for a in everything(tiny)]
    assert min(counts) > 50 and max(counts) < 150  # 100 each, standard deviation 10


def test_large_space_under_the_tightest_limits(demo, cost):
    """One of a million, and the few next to it, which uniform draws don't find."""
    table = cost(demo)
    smallest = table.flops.cheapest()
    limit = CostLimits(demo, [CostLimit(table.flops, table.flops.minimum)])
    assert sampling.draw_unseen(demo, 5, set(), limit, rng()) == [smallest]
    assert sampling.draw_unseen(demo, 5, {smallest}, limit, rng()) == []
    second = sorted(
        table.flops(Architecture(demo, (*smallest.choices[:i], c, *smallest.choices[i + 1 :])))
        for i in range(demo.num_blocks)
        for c in range(demo.num_choices)
    )
    fifth = second[demo.num_blocks + 4]  # the first num_blocks are itself
    limit = CostLimits(demo, [CostLimit(table.flops, fifth)])
    drawn = sampling.draw_unseen(demo, 5, set(), limit, rng())
    assert len(set(drawn)) == 5 and all(table.flops(a) <= limit.limits[0].maximum for a in drawn)


def test_random_architectures_for_a_baseline(tiny, cost):
    """All under the limit, a function of the seed; too few and none are errors."""
    table = cost(tiny)
    costs = sorted(table.flops(a) for a in everything(tiny))
    limit = CostLimits(tiny, [CostLimit(table.flops, costs[13])])
    allowed = sum(c <= costs[13] for c in costs)
    drawn = sampling.draw_random(tiny, allowed - 1, limit, 3)
    assert len(set(drawn)) == allowed - 1 and all(table.flops(a) <= costs[13] for a in drawn)
    assert drawn == sampling.draw_random(tiny, allowed - 1, limit, 3)
    assert drawn != sampling.draw_random(tiny, allowed - 1, limit, 4)
    with pytest.raises(SearchError, match=f"no more than {allowed} architectures"):
        sampling.draw_random(tiny, allowed + 1, limit, 3)
    with pytest.raises(LimitError, match="the smallest has"):
        sampling.draw_random(tiny, 1, CostLimits(tiny, [CostLimit(table.flops, costs[0] - 1)]), 3)
