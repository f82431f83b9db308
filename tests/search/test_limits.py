"""Limits on several costs at once, against every architecture of small spaces."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detnas_d2.search import CostLimit, CostLimits, LimitError
from detnas_d2.space import (
    Architecture,
    BlockCost,
    CostTable,
    SearchSpace,
    ShuffleChoice,
    Stage,
    get_space,
)

CHOICES = (ShuffleChoice(3), ShuffleChoice(5), ShuffleChoice(7))
SPACE = SearchSpace("five", 8, (Stage(16, 3), Stage(32, 2)), CHOICES)
EVERY = np.array(list(itertools.product(range(3), repeat=5)))


def totals(cost: BlockCost) -> list[float]:
    """The cost of every architecture by plain Python."""
    table = cost.table.tolist()
    return [
        sum([cost.constant, *(table[i][c] for i, c in enumerate(row))]) for row in EVERY.tolist()
    ]


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
        values = sorted(set(totals(cost)))
        maximum = values[draw(st.integers(0, len(values) - 1))]
        found.append(CostLimit(cost, maximum + draw(st.sampled_from([0, 0.5, -1e-6]))))
    return found


@settings(max_examples=75, deadline=None)
@given(limits())
def test_allows_and_witness_against_every_architecture(chosen):
    every = [totals(limit.cost) for limit in chosen]
    expected = [
        all(values[i] <= limit.maximum for values, limit in zip(every, chosen, strict=True))
        for i in range(len(EVERY))
    ]
    limit = CostLimits(SPACE, chosen)
    assert limit.allows(EVERY).tolist() == expected
    assert [limit.meets(Architecture(SPACE, tuple(row))) for row in EVERY.tolist()] == expected
    if any(expected):
        assert expected[EVERY.tolist().index(list(limit.witness()))]
    else:
        with pytest.raises(LimitError):
            limit.witness()


@pytest.mark.parametrize("share", [0.001, 0.1, 0.3])
def test_real_costs_against_a_million_architectures(share):
    """Each limit at a share of its cost's range: jointly infeasible, then tight, then loose."""
    space = get_space("demo")
    table = CostTable(space)
    rows = np.random.default_rng(3).uniform(0.2, 2, (10, 4)).tolist()
    costs = [table.flops, table.params, BlockCost(space, "ms of latency", rows, 1.5)]
    limit = CostLimits(
        space, [CostLimit(c, c.minimum + share * (c.maximum - c.minimum)) for c in costs]
    )
    choices = np.indices((4,) * 10, dtype=np.int8).reshape(10, -1).T
    if limit.allows(choices).any():
        assert limit.allows(np.array([limit.witness().choices])).all()
    else:
        with pytest.raises(LimitError, match="draws, though each alone can be met"):
            limit.witness()


def test_messages():
    table = CostTable(SPACE, (64, 64))
    latency = BlockCost(SPACE, "ms of latency", [[3.0, 2.0, 1.0]] * 5, 0.25)
    with pytest.raises(LimitError) as caught:
        CostLimits(SPACE, [CostLimit(table.flops, 1e9), CostLimit(latency, 5.2)]).witness()
    assert str(caught.value) == (
        "no architecture of space 'five' has at most 5.2 ms of latency; the smallest has 5.25. "
        "Raise the limit to 5.25 or more."
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


def test_no_limits_and_what_an_architecture_has_of_each():
    nothing = CostLimits(SPACE, [])
    assert nothing.allows(EVERY).all() and len(nothing.witness()) == 5
    latency = BlockCost(SPACE, "ms of latency", [[1.0, 2.0, 3.0]] * 5, 0.2)
    params = CostTable(SPACE).params
    limit = CostLimits(SPACE, [CostLimit(latency, 7.5), CostLimit(params, 10**6)])
    architecture = limit.witness()
    assert architecture.choices == (0,) * 5
    assert limit.describe(architecture) == (
        f"5.2 of at most 7.5 ms of latency, {params.minimum:,} of at most 1,000,000 parameters"
    )
