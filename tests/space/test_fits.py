"""Choices that don't fit every block, against plain enumeration of all architectures."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from detnas_d2.search import CostLimit, CostLimits
from detnas_d2.search.operators import crossover, mutate
from detnas_d2.search.sampling import draw_unseen
from detnas_d2.space import (
    Architecture,
    ArchitectureError,
    Choice,
    CostTable,
    SearchSpace,
    ShuffleChoice,
    SpaceError,
    Stage,
    StrictlyFairPathSampler,
    UniformPathSampler,
)


@dataclass(frozen=True)
class Skip(Choice):
    name = "skip"
    block = "torch.nn.Identity"

    def branches(self, in_channels, out_channels, stride):
        return ()

    def fits(self, in_channels, out_channels, stride):
        return stride == 1 and in_channels == out_channels


# "skip" stands in the middle, so that its place can't be cut off
SPACE = SearchSpace(
    "s", 8, (Stage(12, 2), Stage(16, 3)), (ShuffleChoice(3), Skip(), ShuffleChoice(7))
)
ALL = [
    a for a in itertools.product(range(3), repeat=5) if a[0] != 1 and a[2] != 1
]  # the first blocks of the stages can't be skipped
TABLE = CostTable(SPACE, (64, 64))


def by_hand(architecture, field):
    """Flops or params, block by block from the choices themselves."""
    total = getattr(TABLE, field).constant
    height = 32
    for block, c in zip(SPACE.blocks, architecture, strict=True):
        shape = (block.in_channels, block.out_channels, block.stride, height, height)
        total += SPACE.choices[c].cost(*shape)[field == "params"]
        height = -(-height // block.stride)
    return total


class Anywhere(Skip):
    def fits(self, *shape):
        return True


def test_the_space_knows_what_fits():
    assert SPACE.size == len(ALL) == 2 * 3 * 2 * 3 * 3
    assert SPACE.options == ((0, 2), (0, 1, 2), (0, 2), (0, 1, 2), (0, 1, 2))
    assert SPACE.allowed.tolist() == [[c in o for c in range(3)] for o in SPACE.options]
    anywhere = (ShuffleChoice(3), Anywhere(), ShuffleChoice(7))
    assert dataclasses.replace(SPACE, choices=anywhere).fingerprint != SPACE.fingerprint
    with pytest.raises(SpaceError, match=r"no choice fits block 1 of res2 \(8 to 12 channels, str"):
        dataclasses.replace(SPACE, choices=(Skip(),))


def test_architectures_of_choices_that_do_not_fit_are_refused():
    for a in itertools.product(range(3), repeat=5):
        if a in ALL:
            assert Architecture(SPACE, a).choices == a
            continue
        message = r"has choice 1; expected one of those that fit its shape \(0: 3x3, 2: 7x7\)"
        with pytest.raises(ArchitectureError, match=message):
            Architecture(SPACE, a)
        with pytest.raises(ArchitectureError, match="row 1 of the array: .*block . of 5 "):
            TABLE.flops(np.array([ALL[0], a]))


def test_costs_equal_plain_sums():
    for field in ("flops", "params"):
        cost = getattr(TABLE, field)
        expected = [by_hand(a, field) for a in ALL]
        assert cost(np.array(ALL)).tolist() == expected
        assert [cost(Architecture(SPACE, a)) for a in ALL] == expected
        assert (cost.minimum, cost.maximum) == (min(expected), max(expected))
        assert cost(cost.cheapest()) == min(expected)


def test_draws_are_uniform_over_all_architectures():
    rows = SPACE.draw(np.random.default_rng(0), 50_000)
    seen, counts = np.unique(rows, axis=0, return_counts=True)
    assert set(map(tuple, seen.tolist())) == set(ALL)
    expected = len(rows) / len(ALL)
    assert ((counts - expected) ** 2 / expected).sum() < 107 + 4 * np.sqrt(2 * 107)  # chi-square
    sampler = UniformPathSampler(SPACE, 0)
    assert {sampler(i).choices for i in range(2000)} == set(ALL)


def test_operators_and_unseen_draws_stay_inside():
    rng = np.random.default_rng(0)
    parents = [Architecture(SPACE, a) for a in ALL]
    for first, second in zip(parents, reversed(parents), strict=True):
        for child in (mutate(first, 0.9, rng), crossover(first, second, rng)):
            assert child.choices in ALL
    middle = int(np.median([by_hand(a, "flops") for a in ALL]))
    limit = CostLimits(SPACE, [CostLimit(TABLE.flops, middle)])
    wanted = {a for a in ALL[50:] if by_hand(a, "flops") <= middle}
    drawn = draw_unseen(SPACE, len(ALL), set(parents[:50]), limit, rng)  # until none is left
    assert len(drawn) == len(wanted) and {a.choices for a in drawn} == wanted


def test_strictly_fair_among_what_fits():
    """Of three passes one of two choices runs twice, by turns at random."""
    sampler = StrictlyFairPathSampler(SPACE, 0)
    first = [[sampler(3 * i + k).choices[0] for k in range(3)] for i in range(20)]
    assert {tuple(sorted(choices)) for choices in first} == {(0, 0, 2), (0, 2, 2)}
