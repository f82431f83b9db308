"""Searches over 64 workers, and over 8, some of which die: how busy are they?

    python benchmarks/bm_cluster.py        # takes a quarter of an hour

Real: all of a search and its Ray worker processes, on this machine, with their deaths and
replacements, and how candidates are cut into tasks. Simulated: the fitness, whose phases are those
of a search on COCO (250 batches for the statistics, these merged, 1,250 batches for validation, the
evaluator) and sleep. A candidate takes a lognormal time (sigma 0.3) with a mean of 32 s, which
stand for two minutes, and sends so much less than a real one; 2% take four times as long, in all
phases; 2% of the candidates kill their worker once, in the middle of the validation. The first
start of the workers is left out, the replacements' are not.

Busy: the seconds of the tasks that gave a result, over the workers times the wall time. Beside it
stands what an ideal driver would reach with whole candidates and without deaths: the next candidate
at once.

64 Ray workers that do nothing take most of one core: on two cores, each task costs more time than
it would where workers have cores of their own, and so candidates may not be much shorter.
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
from measuring import mark, report

from detnas_d2.phases import Phase, SplitFitness
from detnas_d2.search import (
    CostLimit,
    CostLimits,
    Evaluation,
    Evaluator,
    EvolutionarySearch,
    Ledger,
    RandomSearch,
    RayExecutor,
    SearchAlgorithm,
    make_header,
)
from detnas_d2.space import Architecture, CostTable, get_space

MARK = 0.8
SIGMA, STRAGGLERS, LONGER, DEATHS = 0.3, 0.02, 4.0, 0.02
UNITS = (250, 1, 1250, 1)
SHARES = (0.09, 0.002, 0.888, 0.02)
"""Of a candidate's time, by phase."""
NEEDS: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (1, 2))
BYTES = (100_000, 100_000, 15_000)
"""What a unit of each phase but the last sends, where a candidate takes MINUTES."""
MINUTES = 120.0


class Sleep(SplitFitness):
    """Sleeps as long as the architecture's phases take."""

    def __init__(self, folder: Path, mean: float, workers: int) -> None:
        (folder / f"start.{os.getpid()}").touch()
        super().__init__(
            Phase(partial(self._sleep, number), units, needs)
            for number, (units, needs) in enumerate(zip(UNITS, NEEDS, strict=True))
        )
        self._folder, self._mean, self._workers = folder, mean, workers

    def _sleep(
        self, phase: int, architecture: Architecture, units: range, *given: Any
    ) -> list[Any]:
        if not (self._folder / "go").exists():  # all workers have to be there first
            while len(list(self._folder.glob("start.*"))) < self._workers:
                time.sleep(0.2)
            return [(0.0, {})] * len(units)
        fitness, seconds, dies = plan(architecture, self._mean)
        each = seconds * SHARES[phase] / UNITS[phase]
        died = self._folder / f"died.{architecture}"
        if dies and phase == 2 and UNITS[2] // 2 in units and not died.exists():
            died.touch()
            time.sleep(each * (UNITS[2] // 2 - units.start))
            os._exit(1)
        time.sleep(each * len(units))
        if phase == 3:
            return [(fitness, {})]
        return [bytes(int(BYTES[phase] * self._mean / MINUTES)) for _ in units]


def plan(architecture: Architecture, mean: float) -> tuple[float, float, bool]:
    """Fitness, seconds, and whether the first attempt dies: a function of the architecture."""
    rng = np.random.default_rng(architecture.choices)
    typical = mean / (1 + STRAGGLERS * (LONGER - 1))
    seconds = typical * rng.lognormal(-(SIGMA**2) / 2, SIGMA)
    seconds *= LONGER if rng.random() < STRAGGLERS else 1
    return sum(architecture.choices) + rng.random(), float(seconds), rng.random() < DEATHS


def main(args: argparse.Namespace) -> None:
    space = get_space("300m")
    limit = CostLimits(space, [CostLimit(CostTable(space).flops, 300_000_000)])
    count = args.candidates
    large: dict[str, SearchAlgorithm] = {
        "algorithm_2": EvolutionarySearch(space, limit, generations=count // 50),
        "population_200": EvolutionarySearch(
            space, limit, population=min(200, count), generations=max(count // 200, 1)
        ),
        "random_search": RandomSearch(space, limit, count=count),
    }
    small: dict[str, SearchAlgorithm] = {
        "population_8": EvolutionarySearch(
            space, limit, population=8, parents=4, generations=count // 50
        )
    }
    figures = measure(large, args.workers, args.mean)
    figures |= measure(small, min(8, args.workers), args.mean)
    mark(f"at least {MARK:.0%} busy", figures["algorithm_2"] >= MARK)
    settings = {"candidates": count, "workers": args.workers, "mean": args.mean}
    report("cluster", {"busy": figures["algorithm_2"], **figures, **settings})


def measure(searches: dict[str, SearchAlgorithm], workers: int, mean: float) -> dict[str, Any]:
    """How busy the searches keep so many workers."""
    figures: dict[str, Any] = {}
    space = get_space("300m")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        executor = RayExecutor(
            Sleep,
            [folder, mean, workers],
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
                    result = search.run(Evaluator(executor, CostTable(space), ledger))
                    wall = time.perf_counter() - begin
                figures |= compare(name, result.evaluations, wall, workers, mean)
        figures[f"deaths_{workers}"] = len(list(folder.glob("died.*")))
    return figures


def compare(
    name: str, evaluations: Sequence[Evaluation], wall: float, workers: int, mean: float
) -> dict[str, float]:
    """A search's share, and that of an ideal driver of whole candidates."""
    generations: dict[int, list[float]] = {}
    for e in evaluations:
        generations.setdefault(e.generation, []).append(plan(e.architecture, mean)[1])
    useful = sum(map(sum, generations.values()))
    ends = sum(makespan(seconds, workers) for seconds in generations.values())
    figures = {"": round(useful / workers / wall, 4), "_whole": round(useful / workers / ends, 4)}
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
    parser.add_argument("--candidates", type=int, default=400, help="50 or more")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--mean", type=float, default=32.0, help="seconds of a candidate")
    main(parser.parse_args())
