"""How far two orders of the same networks agree, with bootstrap intervals.

A bootstrap sample is a row of weights: how often each network was drawn. Tau and rho are sums over
pairs of networks, so one product of matrices gives them for all samples, and differences of two
figures are of the same samples. (scipy's kendalltau can't leave out the pairs that differ in cost.)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[Any]
Figure = dict[str, float | None]
"""``value``, and ``low`` and ``high`` that hold 95% of the samples; None where undefined."""

LEAST = 3  # networks that have an order worth the name
SAMPLES = 2000
WINDOW = 0.1  # of the dearer network's multiply-adds: what differs by less costs about the same
LEAST_PAIRS = 30  # of about the same cost, for a figure of them
KS = (1, 3, 10, 30)


def rank_figures(
    fitness: Sequence[float], alone: Sequence[Sequence[float]], flops: Sequence[float]
) -> dict[str, Any]:
    """
    Args:
        fitness: of N networks, finite.
        alone: of each the figures that it reaches trained alone, one a seed; their mean counts.
        flops: of each its multiply-adds.

    Returns:
        ``fitness``, and ``flops`` for multiply-adds in its place, each with

        * the Figures ``tau`` (Kendall's tau-b), ``rho`` (Spearman's) and ``in_order``, the share
          of pairs, of other figures alone, that it has in the same order (ties count half);
        * ``near``, the Figure tau of the pairs that cost about the same (WINDOW); None if they are
          fewer than LEAST_PAIRS;
        * ``best``, for each ``k``: of the k networks that it has first, the share that are among
          the k best alone (``precision``), and by how much the best of all alone is above the best
          of them (``regret``).

        ``gain``: the Figures tau and near of fitness less those of multiply-adds. ``p``: how likely
        chance gives such a tau, which the samples of few networks know too little of.
        ``near_pairs``: how many cost about the same. ``seeds``: as `between_seeds`.
    """
    truth, cost = np.array([fmean(a) for a in alone]), np.array(flops, float)
    drawn = draw(len(truth))
    near = np.abs(cost[:, None] - cost) <= WINDOW * np.maximum(cost[:, None], cost)
    near_pairs = (int(near.sum()) - len(truth)) // 2
    found: dict[str, Any] = {}
    taus = {}
    for name, score in (("fitness", np.array(fitness, float)), ("flops", cost)):
        taus[name] = {"tau": tau(score, truth, drawn)}
        if near_pairs >= LEAST_PAIRS:
            taus[name]["near"] = tau(score, truth, drawn, near)
        found[name] = {
            "near": None,
            **{key: figure(values) for key, values in taus[name].items()},
            "rho": figure(rho(score, truth, drawn)),
            "in_order": figure(in_order(score, truth, drawn)),
            "best": [at(k, score, truth) for k in KS if 2 * k <= len(truth)],
        }
    found["gain"] = {
        key: figure(values - taus["flops"][key]) for key, values in taus["fitness"].items()
    }
    p = stats.kendalltau(fitness, truth).pvalue
    found["p"] = float(p) if np.isfinite(p) else None
    return {**found, "near_pairs": near_pairs, "seeds": between_seeds(alone)}


def kendall(x: Sequence[float], y: Sequence[float]) -> Figure:
    """Kendall's tau-b of N pairs of figures."""
    return figure(tau(np.array(x, float), np.array(y, float), draw(len(x))))


def between_seeds(alone: Sequence[Sequence[float]]) -> dict[str, Any] | None:
    """How far the figures of one seed agree with those of another.

    Returns:
        ``networks``: how many have several seeds; the Figures ``tau``, of one seed's figures with
        another's (the mean over pairs of seeds, as many as all these have), and ``ceiling``, the
        tau that a fitness without noise would have with the means over seeds. That is for figures
        that are normally distributed: their correlation then follows from tau (Greiner's relation),
        and the share of their variance that is the networks' own from the correlation. None if
        fewer than LEAST have several.
    """
    several = [figures for figures in alone if len(figures) > 1]
    if len(several) < LEAST:
        return None
    seeds = np.array([figures[: min(map(len, several))] for figures in several]).T
    drawn = draw(len(several))
    taus = np.mean([tau(one, other, drawn) for one, other in combinations(seeds, 2)], axis=0)
    own = np.sin(np.pi / 2 * taus.clip(min=0))
    noise = (1 - own) * fmean(1 / len(figures) for figures in alone)  # of a mean over seeds
    ceiling = 2 / np.pi * np.arcsin(np.sqrt(own / (own + noise)))
    return {"networks": len(several), "tau": figure(taus), "ceiling": figure(ceiling)}


def at(k: int, score: Array, truth: Array) -> dict[str, float]:
    """Precision and regret at k; equal scores are in a random order, always the same one."""
    order = np.random.default_rng(0).permutation(len(score))
    picked = truth[order[np.argsort(-score[order], kind="stable")[:k]]]
    return {
        "k": k,
        "precision": float((picked >= np.sort(truth)[-k]).mean()),
        "regret": float(truth.max() - picked.max()),
    }


def draw(count: int) -> Array:
    """(1 + SAMPLES, count): how often each network counts; once in the first row, then as drawn."""
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), SAMPLES)
    return np.vstack([np.ones(count), drawn])


def figure(values: Array) -> Figure:
    """Of what `tau` and its like give."""
    defined = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]) or not len(defined):
        return dict.fromkeys(("value", "low", "high"))
    low, high = np.quantile(defined, (0.025, 0.975))
    return {"value": float(values[0]), "low": float(low), "high": float(high)}


def tau(x: Array, y: Array, drawn: Array, pairs: Array | float = 1.0) -> Array:
    """(S,), tau-b of each row of drawn (S, N), over pairs (N, N); NaN where one side is all ties.

    A network drawn twice is tied with itself, on both sides.
    """
    x, y = _signs(x) * pairs, _signs(y) * pairs
    return _divide(_sum(x * y, drawn), np.sqrt(_sum(x * x, drawn) * _sum(y * y, drawn)))


def in_order(x: Array, y: Array, drawn: Array) -> Array:
    """(S,), the share of pairs of other y that x has in the same order; ties in x count half."""
    x, y = _signs(x), _signs(y)
    return 0.5 + 0.5 * _divide(_sum(x * y, drawn), _sum(y * y, drawn))


def rho(x: Array, y: Array, drawn: Array) -> Array:
    """(S,), Spearman's rho, for a row's sum of signs is a rank, counted from the middle."""
    x, y = drawn @ _signs(x), drawn @ _signs(y)
    product, squares = (drawn * x * y).sum(1), (drawn * x * x).sum(1) * (drawn * y * y).sum(1)
    return _divide(product, np.sqrt(squares))


def _signs(x: Array) -> Array:
    return np.sign(x[:, None] - x)


def _sum(of_pairs: Array, drawn: Array) -> Array:
    return ((drawn @ of_pairs) * drawn).sum(1)


def _divide(x: Array, y: Array) -> Array:
    return np.divide(x, y, out=np.full(len(x), np.nan), where=y > 0)
