"""The figures of a ranking, against scipy's and loops in plain Python."""

from __future__ import annotations

import itertools
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from detnas_d2.ranking import kendall, rank_figures

UNDEFINED = {"value": None, "low": None, "high": None}


def made(count: int, seed: int = 0):
    """Fitness with ties, figures of one to three seeds that follow it, multiply-adds."""
    rng = np.random.default_rng(seed)
    fitness = rng.integers(0, count // 2, count).astype(float)
    alone = [list(f + rng.normal(0, 3, 1 + i % 3).round()) for i, f in enumerate(fitness)]
    return fitness, alone, rng.uniform(100, 200, count)


def signs(x, pairs):
    return [np.sign(x[i] - x[j]) for i, j in pairs]


def tau_of(x, y, pairs):
    """Tau-b over some pairs, by its definition."""
    a, b = signs(x, pairs), signs(y, pairs)
    both = sum(p * q for p, q in zip(a, b, strict=True))
    return both / np.sqrt(sum(map(abs, a)) * sum(map(abs, b)))


@pytest.mark.parametrize("count", [8, 40])
def test_against_scipy_and_loops(count):
    fitness, alone, flops = made(count)
    mean = [fmean(a) for a in alone]
    found = rank_figures(fitness, alone, flops)
    every = list(itertools.combinations(range(count), 2))
    near = [p for p in every if min(flops[list(p)]) >= 0.9 * max(flops[list(p)])]
    assert found["near_pairs"] == len(near)
    for name, score in (("fitness", fitness), ("flops", flops)):
        figures = found[name]
        assert figures["tau"]["value"] == pytest.approx(stats.kendalltau(score, mean).statistic)
        assert figures["tau"] == kendall(score, mean)
        assert figures["rho"]["value"] == pytest.approx(stats.spearmanr(score, mean).statistic)
        pairs = zip(signs(score, every), signs(mean, every), strict=True)
        in_order = fmean(0.5 * (1 + s * t) for s, t in pairs if t)
        assert figures["in_order"]["value"] == pytest.approx(in_order)
        assert (figures["near"] is None) == (len(near) < 30)
        if figures["near"]:
            assert figures["near"]["value"] == pytest.approx(tau_of(score, mean, near))
    for key, gain in found["gain"].items():
        of_both = (found[name][key]["value"] for name in ("fitness", "flops"))
        assert gain["value"] == pytest.approx(next(of_both) - next(of_both))
        assert gain["low"] < gain["value"] < gain["high"]
    assert ("near" in found["gain"]) == (len(near) >= 30)
    assert found["p"] == pytest.approx(stats.kendalltau(fitness, mean).pvalue)


def test_intervals_are_those_of_a_bootstrap():
    fitness, alone, flops = made(40)
    mean = np.array([fmean(a) for a in alone])
    found = rank_figures(fitness, alone, flops)["fitness"]
    for name, of_two in (("tau", stats.kendalltau), ("rho", stats.spearmanr)):
        expected = stats.bootstrap(
            (fitness, mean),
            lambda x, y, of_two=of_two: of_two(x, y).statistic,
            paired=True,
            vectorized=False,
            method="percentile",
            n_resamples=1000,
            rng=1,
        ).confidence_interval
        assert found[name]["low"] == pytest.approx(expected.low, abs=0.04)
        assert found[name]["high"] == pytest.approx(expected.high, abs=0.04)


def test_how_far_seeds_agree():
    """The mean over pairs of seeds, of the networks that have several."""
    fitness, alone, flops = made(12)
    several = np.array([a[:2] for a in alone if len(a) > 1])
    expected = stats.kendalltau(*several.T).statistic
    seeds = rank_figures(fitness, alone, flops)["seeds"]
    assert seeds["networks"] == 8 and seeds["tau"]["value"] == pytest.approx(expected)
    three = [[f, f + d, f - d] for f, d in zip(fitness, range(12), strict=True)]
    pairs = itertools.combinations(np.array(three).T, 2)
    expected = fmean(stats.kendalltau(*pair).statistic for pair in pairs)
    found = rank_figures(fitness, three, flops)["seeds"]["tau"]["value"]
    assert found == pytest.approx(expected)
    assert rank_figures(fitness, [a[:1] for a in alone], flops)["seeds"] is None


def test_the_ceiling_is_what_a_fitness_without_noise_reaches():
    rng = np.random.default_rng(0)
    true = rng.normal(60, 2, 600)
    two = true[:, None] + rng.normal(0, 2, (600, 2))
    alone = [list(a[: 1 + i % 2]) for i, a in enumerate(two)]  # every other one has two seeds
    seeds = rank_figures(true, alone, true)["seeds"]
    reached = stats.kendalltau(true, list(map(fmean, alone))).statistic
    assert seeds["networks"] == 300
    assert seeds["ceiling"]["value"] == pytest.approx(reached, abs=0.05)
    assert seeds["tau"]["high"] < reached


def test_precision_and_regret():
    fitness = [9, 8, 7, 6, 5, 4, 3]
    alone = [[40.0], [50.0, 52.0], [10.0], [60.0], [51.0], [20.0], [30.0]]  # 60, 51 and 51 lead
    found = rank_figures(fitness, alone, flops=fitness[::-1])
    one, three = found["fitness"]["best"]
    assert one == {"k": 1, "precision": 0, "regret": 20}
    assert three == {"k": 3, "precision": pytest.approx(1 / 3), "regret": 9}
    assert found["flops"]["best"][0] == {"k": 1, "precision": 0, "regret": 30}


def test_what_has_no_order_is_undefined():
    """All tied, on either side; a few samples of few networks are, and count for nothing."""
    alone = [[1.0], [2.0], [3.0]]
    for fitness, of in (([7, 7, 7], alone), ([1, 2, 3], [[0.0]] * 3)):
        found = rank_figures(fitness, of, [1, 2, 3])
        assert found["fitness"]["tau"] == found["fitness"]["rho"] == UNDEFINED
        assert found["p"] is None and found["gain"]["tau"] == UNDEFINED
    found = rank_figures([1, 2, 3], alone, [3, 2, 1])
    assert found["fitness"]["tau"] == {"value": 1, "low": 1, "high": 1}
    assert found["flops"]["tau"]["value"] == -1 and found["gain"]["tau"]["value"] == 2
    assert found["p"] == pytest.approx(1 / 3)
