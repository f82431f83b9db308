"""Statistics of the operators, by their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from detnas_d2.search import crossover, mutate
from detnas_d2.space import Architecture

TRIALS = 2000


def shares(space, draw):
    """Of each choice in each block, over many draws, and the draws."""
    generator = np.random.default_rng(0)
    rows = np.array([draw(generator).choices for _ in range(TRIALS)])
    return (rows[:, :, None] == np.arange(space.num_choices)).mean(axis=0), rows


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_mutate_redraws_each_block_over_all_choices(demo, p):
    parent = Architecture(demo, (1,) * demo.num_blocks)
    found, _ = shares(demo, lambda rng: mutate(parent, p, rng))
    expected = np.array([p / 4, 1 - 3 * p / 4, p / 4, p / 4])  # some redraw what was there
    assert (abs(found - expected) <= 5 * (expected * (1 - expected) / TRIALS) ** 0.5).all()


def test_crossover_takes_each_block_from_either_parent_equally(demo):
    parents = [Architecture(demo, (c,) * demo.num_blocks) for c in (0, 2)]
    found, rows = shares(demo, lambda rng: crossover(*parents, rng))
    assert (abs(found - [0.5, 0, 0.5, 0]) <= 5 * (0.25 / TRIALS) ** 0.5).all()
    # blocks are independent of each other: neighbours agree in half of the cases
    assert abs((rows[:, 0] == rows[:, 1]).mean() - 0.5) <= 5 * (0.25 / TRIALS) ** 0.5
