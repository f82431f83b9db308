"""Costs out of tables: integers and floats."""

import math
from fractions import Fraction

import numpy as np
import pytest

from detnas_d2.space import BlockCost, SearchSpace, ShuffleChoice, SpaceError, Stage

SPACE = SearchSpace("s", 8, (Stage(16, 10), Stage(32, 10)), tuple(map(ShuffleChoice, (3, 5, 7))))
RNG = np.random.default_rng(0)
CHOICES = RNG.integers(3, size=(500, 20))


def test_sums_of_floats_are_exact_in_any_order():
    """A limit at an architecture's own cost holds, however the sum is made."""
    rows = RNG.uniform(0, 5, (20, 3)).tolist()
    cost = BlockCost(SPACE, "ms", rows, 0.7)
    many = cost(CHOICES)
    assert np.array_equal(many, [cost(a.tolist()) for a in CHOICES])
    assert np.array_equal(many, cost(np.asfortranarray(CHOICES)))
    assert np.array_equal(many, np.concatenate([cost(a[None]) for a in CHOICES]))
    table = cost.table.tolist()
    for choices, value in zip(CHOICES.tolist(), many.tolist(), strict=True):
        parts = [cost.constant, *(table[i][c] for i, c in enumerate(choices))]
        assert value == sum(map(Fraction, parts)) == math.fsum(parts)
    assert np.abs(cost.table - rows).max() <= 2**-14


def test_tables_of_any_size():
    assert BlockCost(SPACE, "units", [[1, 2, 3]] * 20, 0)(CHOICES[:0]).shape == (0,)
    with pytest.raises(SpaceError, match="units are more than 64 bits count"):
        BlockCost(SPACE, "units", [[1, 2, 2**60]] * 20, 0)
