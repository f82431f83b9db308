"""A search of 1,000 candidates over 64 workers, some of which die: how busy are they?

    python benchmarks/bm_cluster.py

Real: all of a search and 64 Ray worker processes, on this machine, with their deaths and
replacements. Simulated: the fitness, which sleeps for a lognormal time (sigma 0.3) with a mean of
2 s, which stand for minutes; 2% take four times as long; 2% of the candidates kill their worker in
the first attempt. The first start of the workers is left out, the replacements' are not.

Utilisation: the seconds of the attempts that gave a result, over 64 times the wall time. Beside it
stands that of an ideal driver: the same times, no deaths, the next candidate at once.
"""

from __future__ import annotations

import argparse
import heapq
import logging
import os
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measuring import report

from detnas_d2.search import (
    CostLimit,
    CostLimits,
    Evaluation,
    Evaluator,
    EvolutionarySearch,
    Fitness,
    Ledger,
    RandomSearch,
    RayExecutor,
    make_header,
)
from detnas_d2.space import Architecture, CostTable, get_space

SIGMA, STRAGGLERS, LONGER, DEATHS = 0.3, 0.02, 4.0, 0.02


def sleep(
    folder: Path, mean: float, workers: int, architecture: Architecture
) -> tuple[float, dict[str, float]]:
    """Sleep as long as the architecture's evaluation takes; the first attempt of some dies."""
    if not (folder / "go").exists():  # all workers have to be there first
        while len(list(folder.glob("start.*"))) < workers:
            time.sleep(0.2)
        return 0.0, {}
    fitness, seconds, dies = plan(architecture, mean)
    died = folder / f"died.{architecture}"
    if dies and not died.exists():
        died.touch()
        time.sleep(seconds * 0.5)
        os._exit(1)
    time.sleep(seconds)
    return fitness, {}


def make_fitness(folder: Path, mean: float, workers: int) -> Fitness:
    (folder / f"start.{os.getpid()}").touch()
    return partial(sleep, folder, mean, workers)


def plan(architecture: Architecture, mean: float) -> tuple[float, float, bool]:
    """Fitness, seconds, and whether the first attempt dies: a function of the architecture."""
    rng = np.random.default_rng(architecture.choices)
    typical = mean / (1 + STRAGGLERS * (LONGER - 1))
    seconds = typical * rng.lognormal(-(SIGMA**2) / 2, SIGMA)
    seconds *= LONGER if rng.random() < STRAGGLERS else 1
    return sum(architecture.choices) + rng.random(), float(seconds), rng.random() < DEATHS


def main(args: argparse.Namespace) -> None:
    space = get_space("300m")
    cost = CostTable(space)
    limit = CostLimits(space, [CostLimit(cost.flops, 300_000_000)])
    count, workers = args.candidates, args.workers
    searches: dict[str, Any] = {
        "algorithm_2": EvolutionarySearch(space, limit, generations=count // 50),
        "population_200": EvolutionarySearch(
            space, limit, population=200, generations=count // 200
        ),
        "random_search": RandomSearch(space, limit, count=count),
    }
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        executor = RayExecutor(
            make_fitness,
            [folder, args.mean, workers],
            workers=workers,
            retries=2,
            cpus_per_worker=len(os.sched_getaffinity(0)) / workers,  # they sleep
        )
        with executor:
            rows = space.draw(np.random.default_rng(0), workers).tolist()
            list(executor.run([Architecture(space, tuple(row)) for row in rows]))
            (folder / "go").touch()
            for name, search in searches.items():
                with Ledger(folder / name, make_header(space, "", "", 0), space) as ledger:
                    begin = time.perf_counter()
                    result = search.run(Evaluator(executor, cost, ledger))
                    wall = time.perf_counter() - begin
                figures |= compare(name, result.evaluations, wall, args)
        figures["deaths"] = len(list(folder.glob("died.*")))
    report("cluster", {**figures, "candidates": count, "workers": workers, "mean": args.mean})


def compare(
    name: str, evaluations: Sequence[Evaluation], wall: float, args: argparse.Namespace
) -> dict[str, float]:
    """A search's utilisation, and the ideal ones."""
    generations: dict[int, list[float]] = {}
    for e in evaluations:
        generations.setdefault(e.generation, []).append(plan(e.architecture, args.mean)[1])
    useful = sum(map(sum, generations.values()))

    def ideal(workers: int) -> float:
        ends = (makespan(seconds, workers) for seconds in generations.values())
        return round(useful / workers / sum(ends), 4)

    utilisation = round(useful / args.workers / wall, 4)
    figures = {"": utilisation, "_ideal": ideal(args.workers), "_ideal_16": ideal(16)}
    print(f"{name}: {len(evaluations)} candidates in {wall:.1f} s, {figures}", flush=True)
    return {f"{name}{kind}": figure for kind, figure in figures.items()}


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Seconds until all are done where each free worker takes the next at once."""
    ends = [0.0] * workers
    for s in seconds:
        heapq.heappush(ends, heapq.heappop(ends) + s)
    return max(ends)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=1000, help="a multiple of 200")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--mean", type=float, default=2.0, help="seconds of a candidate")
    main(parser.parse_args())
