"""Statistics of the operators, by their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from detnas_d2.search import crossover, mutate
from detnas_d2.space import Architecture


def rng(seed=0):
    return np.random.default_rng(seed)


def assert_share(hits: int, trials: int, probability: float) -> None:
    """Within 5 standard deviations of the binomial distribution."""
    deviation = (trials * probability * (1 - probability)) ** 0.5
    assert abs(hits - trials * probability) <= 5 * deviation


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_mutate_redraws_each_block_over_all_choices(demo, probability):
    parent = Architecture(demo, (1,) * demo.num_blocks)
    generator, trials = rng(), 2000
    drawn = np.array([mutate(parent, probability, generator).choices for _ in range(trials)])
    for block in range(demo.num_blocks):
        for choice in (0, 2, 3):  # a redrawn block keeps its choice in a quarter of the cases
            assert_share((drawn[:, block] == choice).sum(), trials, probability / 4)


def test_crossover_takes_each_block_from_either_parent_equally(demo):
    first = Architecture(demo, (0,) * demo.num_blocks)
    second = Architecture(demo, (2,) * demo.num_blocks)
    generator, trials = rng(), 2000
    drawn = np.array([crossover(first, second, generator).choices for _ in range(trials)])
    assert set(np.unique(drawn)) == {0, 2}
    for block in range(demo.num_blocks):
        assert_share((drawn[:, block] == 0).sum(), trials, 1 / 2)
    # blocks are independent of each other: neighbours agree in half of the cases
    assert_share((drawn[:, 0] == drawn[:, 1]).sum(), trials, 1 / 2)
