#!/usr/bin/env python3
"""How many evaluations a search takes until it has found a good network.

    python benchmarks/bm_search.py              # 30 seeds each
    python benchmarks/bm_search.py --seeds 1    # for a look

The space is the paper's of 300M, the fitness a made one, whose optimum is drawn at random: each
block that differs from it costs something, and more so with others that differ, its neighbours and
those of 40 random pairs. To be found is a network that is nine tenths of the way from the mean of
random ones to the optimum. All searches have the paper's population of 50, and the one that is
evaluated last counts in full; one that never finds it counts with all its 1,000 evaluations.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from measuring import mark, report

from detnas_d2.search import (
    Evaluation,
    EvolutionarySearch,
    ParetoSearch,
    PredictorSearch,
    RandomSearch,
)
from detnas_d2.space import Architecture, CostTable, get_space

SPACE = get_space("300m")
AUTHORS: dict[str, Any] = {"parents_from": "all", "mutations": 20, "crossovers": 20}
SEARCHES: dict[str, Callable[[int], Any]] = {
    "random": lambda seed: RandomSearch(SPACE, seed=seed),  # all of them are one population
    "algorithm_2": lambda seed: EvolutionarySearch(SPACE, seed=seed),
    "authors": lambda seed: EvolutionarySearch(SPACE, seed=seed, **AUTHORS),
    "nsga_2": lambda seed: ParetoSearch(SPACE, costs={"flops": CostTable(SPACE).flops}, seed=seed),
    "predictor": lambda seed: PredictorSearch(SPACE, seed=seed),
}
MARK = 0.5  # of Algorithm 2's evaluations


def main(args: argparse.Namespace) -> None:
    logging.disable(logging.INFO)
    fitness, enough = made_fitness()
    needed = {
        name: [evaluations(make(seed), fitness, enough) for seed in range(args.seeds)]
        for name, make in SEARCHES.items()
    }
    ratio, low, high = compared(needed["predictor"], needed["algorithm_2"])
    share = f"{ratio:.0%} ({low:.0%} to {high:.0%})"
    mark(f"the predictor takes {share} of Algorithm 2's evaluations: {MARK:.0%}", ratio <= MARK)
    figures = {name: np.percentile(n, (50, 25, 75)).tolist() for name, n in needed.items()}
    figures["predictor_of_algorithm_2"] = [ratio, low, high]
    report("search", {"seeds": args.seeds, **figures})


def made_fitness() -> tuple[Callable[[Sequence[int]], float], float]:
    """A function of the choices, at most 0; and how much is enough."""
    blocks, rng = np.arange(SPACE.num_blocks), np.random.default_rng(2019)
    optimum = SPACE.draw(rng, 1)[0]
    random_pairs = (rng.choice(blocks, 2, replace=False).tolist() for _ in range(40))
    pairs: list[Sequence[int]] = [*pairwise(blocks.tolist()), *random_pairs]
    single = rng.gamma(1.0, 0.5, (len(blocks), SPACE.num_choices))
    double = rng.gamma(1.0, 0.35, (len(pairs), SPACE.num_choices, SPACE.num_choices))

    def fitness(choices: Sequence[int]) -> float:
        differs = np.not_equal(choices, optimum)
        loss = single[blocks, choices] @ differs
        for cost, (i, j) in zip(double, pairs, strict=True):
            loss += cost[choices[i], choices[j]] * (differs[i] and differs[j])
        return -float(loss)

    return fitness, 0.1 * float(np.mean([fitness(row) for row in SPACE.draw(rng, 10_000)]))


class Found(Exception):
    """Ends a search."""


def evaluations(search: Any, fitness: Callable[[Sequence[int]], float], enough: float) -> int:
    """How many a search takes to find what is enough; all of them if it does not."""
    count = 0

    def evaluate(architectures: Sequence[Architecture], generation: int) -> list[Evaluation]:
        nonlocal count
        count += len(architectures)
        values = [fitness(architecture.choices) for architecture in architectures]
        if max(values) >= enough:
            raise Found
        return [
            Evaluation(architecture, "ok", value, {}, 1, 1, generation, 0.0)
            for architecture, value in zip(architectures, values, strict=True)
        ]

    with contextlib.suppress(Found):
        search.run(evaluate)
    return count


def compared(one: Sequence[int], other: Sequence[int]) -> tuple[float, float, float]:
    """The ratio of the medians, and between what 95% of bootstrap samples of the seeds lie."""
    rng = np.random.default_rng(0)
    medians = [np.median(rng.choice(n, (2000, len(n))), axis=1) for n in (one, other)]
    low, high = np.quantile(medians[0] / medians[1], (0.025, 0.975))
    ratio = np.median(one) / np.median(other)
    return round(float(ratio), 3), round(float(low), 3), round(float(high), 3)


if __name__ == "__main__":
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--seeds", type=int, default=30)
    main(parser.parse_args())
