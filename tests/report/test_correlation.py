"""Kendall's tau against counted pairs, and its interval."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from detnas_d2.report.correlation import kendall_tau


def plain_tau(a, b):
    """tau-b by its definition, pair by pair."""
    agree = ties_a = ties_b = 0
    pairs = list(itertools.combinations(range(len(a)), 2))
    for i, j in pairs:
        x, y = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
        agree += int(x * y)
        ties_a += int(x == 0)
        ties_b += int(y == 0)
    return agree / math.sqrt((len(pairs) - ties_a) * (len(pairs) - ties_b))


@pytest.mark.parametrize("noise", [0.0, 0.5, 5.0])
def test_tau_is_the_share_of_pairs(noise):
    rng = np.random.default_rng(0)
    a = rng.normal(size=12).round(1)
    b = (a + noise * rng.normal(size=12)).round(1)
    tau = kendall_tau(a, b)
    assert tau.tau == pytest.approx(plain_tau(a, b))
    assert tau.low <= tau.tau <= tau.high


def test_the_interval_narrows_with_more_architectures():
    """It covers 0 where nothing is known, and not where the order is nearly the same."""
    rng = np.random.default_rng(1)
    a = rng.normal(size=60)
    b = a + 0.3 * rng.normal(size=60)
    few, many = kendall_tau(a[:8], b[:8]), kendall_tau(a, b)
    assert many.high - many.low < few.high - few.low
    assert many.low > 0.5
    unrelated = kendall_tau(a[:12], rng.normal(size=12))
    assert unrelated.low < 0 < unrelated.high


def test_the_interval_is_the_same_each_time():
    a, b = [1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 2, 5, 4, 6, 8, 7]
    assert kendall_tau(a, b) == kendall_tau(a, b)
    with pytest.raises(ValueError, match="at least 8 architectures, got 7"):
        kendall_tau(a[:7], b[:7])
