"""Limits on several costs at once, against every architecture of small spaces."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detnas_d2.search import CostLimit, CostLimits, LimitError
from detnas_d2.search.limits import CHUNK
from detnas_d2.space import (
    BlockCost,
    CostTable,
    SearchSpace,
    ShuffleChoice,
    Stage,
)

CHOICES = (ShuffleChoice(3), ShuffleChoice(5), ShuffleChoice(7))
SPACE = SearchSpace("five", 8, (Stage(16, 3), Stage(32, 2)), CHOICES)
EVERY = np.array(list(itertools.product(range(3), repeat=5)))


def totals(cost: BlockCost) -> np.ndarray:
    """The cost of every architecture."""
    return cost.constant + cost.table[range(5), EVERY].sum(axis=1)


INTEGERS = st.one_of(st.integers(0, 6), st.integers(0, 10**9))
FLOATS = st.floats(0, 50)


@st.composite
def limits(draw):
    """Limits between which some architecture's cost lies, and a little beside it."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        numbers = draw(st.sampled_from([INTEGERS, FLOATS]))
        rows = draw(st.lists(st.tuples(*[numbers] * 3), min_size=5, max_size=5))
        cost = BlockCost(SPACE, "units", rows, draw(numbers))
        values = np.unique(totals(cost)).tolist()
        maximum = values[draw(st.integers(0, len(values) - 1))]
        found.append(CostLimit(cost, maximum + draw(st.sampled_from([0, 0.5, -1e-6]))))
    return found


@settings(max_examples=25, derandomize=True, deadline=None)
@given(limits())
def test_allows_and_witness_against_every_architecture(chosen):
    expected = np.all([totals(x.cost) <= x.maximum for x in chosen], axis=0).tolist()
    limit = CostLimits(SPACE, chosen)
    assert limit.allows(EVERY).tolist() == expected
    if any(expected):
        witness = limit.witness()
        assert expected[EVERY.tolist().index(list(witness))] and limit.meets(witness)
    else:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(LimitError):
            patch.setattr("detnas_d2.search.limits.MAX_DRAWS", 2 * CHUNK)  # of 243 architectures
            limit.witness()


def test_messages():
    nothing = CostLimits(SPACE, [])
    assert nothing.allows(EVERY).all() and len(nothing.witness()) == 5
    table = CostTable(SPACE, (64, 64))
    latency = BlockCost(SPACE, "ms of latency", [[3.0, 2.0, 1.0]] * 5, 0.25)
    with pytest.raises(LimitError) as caught:
        CostLimits(SPACE, [CostLimit(table.flops, 1e9), CostLimit(latency, 5.2)]).witness()
    assert str(caught.value) == (
        "no architecture of space 'five' has at most 5.2 ms of latency; the smallest has 5.25. "
        "Raise the limit to 5.25 or more."
    )
    limit = CostLimits(SPACE, [CostLimit(latency, 5.5), CostLimit(table.params, 10**6)])
    assert limit.witness().choices == (2,) * 5
    assert limit.describe(limit.witness()) == (
        f"5.25 of at most 5.5 ms of latency, {table.params.maximum:,} of at most 1,000,000 "
        "parameters"
    )
    smallest = table.flops.minimum  # 3x3 throughout, of the greatest latency
    with pytest.raises(LimitError) as caught:
        CostLimits(SPACE, [CostLimit(table.flops, smallest), CostLimit(latency, 5.5)]).witness()
    assert str(caught.value) == (
        "no architecture of space 'five' that meets all limits was found in 262,144 draws, though "
        "each alone can be met. Raise one of them, or more:\n"
        f"  at most {smallest:,} multiply-adds; the smallest has {smallest:,}\n"
        "  at most 5.5 ms of latency; the smallest has 5.25"
    )
