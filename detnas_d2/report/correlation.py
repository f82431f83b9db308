"""How well the supernet ranks architectures: by their fitness in it and by their AP alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from scipy import stats


class Tau(NamedTuple):
    """Kendall's tau-b with a bootstrap interval."""

    tau: float
    low: float
    high: float


def kendall_tau(
    a: Sequence[float], b: Sequence[float], *, confidence: float = 0.95, seed: int = 0
) -> Tau:
    """Rank correlation of two figures of the same architectures.

    Args:
        confidence: of the percentile interval over 2,000 samples of the pairs, drawn with
            replacement; a pair drawn twice is a tie, which tau-b leaves out.

    Raises:
        ValueError: for fewer than 8 architectures, which say too little.
    """
    if len(a) < 8:
        raise ValueError(f"a rank correlation needs at least 8 architectures, got {len(a)}")

    def tau(x: Sequence[float], y: Sequence[float]) -> float:
        return float(stats.kendalltau(x, y).statistic)

    sampled = stats.bootstrap(
        (a, b),
        tau,
        n_resamples=2000,
        paired=True,
        vectorized=False,
        confidence_level=confidence,
        method="percentile",
        rng=seed,
    )
    interval = sampled.confidence_interval
    return Tau(tau(a, b), float(interval.low), float(interval.high))
