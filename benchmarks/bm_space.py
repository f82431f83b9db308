#!/usr/bin/env python3
"""Constraint checks a second, and the bookkeeping of a search whose fitness costs nothing.

    python benchmarks/bm_space.py
    python benchmarks/bm_space.py --figures 86    # what a ledger holds of a candidate on COCO

The search is the paper's: population 50, 20 generations, at most 300M multiply-adds, in this
process with the ledger on the disk. Once with a new ledger, once with one of many architectures,
whose opening is counted.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import alternate, mark, report

from detnas_d2.search import (
    CostLimit,
    CostLimits,
    Evaluator,
    EvolutionarySearch,
    InProcessExecutor,
    Ledger,
    Progress,
    make_header,
)
from detnas_d2.search.sampling import allows
from detnas_d2.space import Architecture, CostTable, get_space

SPACE = get_space("300m")
COST = CostTable(SPACE)
LIMIT = CostLimits(SPACE, [CostLimit(COST.flops, 300e6)])
HEADER = make_header(SPACE, "config", "checkpoint", 0)
BATCH = 2**11  # rows that random draws check at once
CHECKS, NEW, RECORDED = 100_000, 5.0, 10.0  # the marks: a second; seconds


def main(args: argparse.Namespace) -> None:
    rows = np.random.default_rng(0).integers(SPACE.num_choices, size=(2**18, SPACE.num_blocks))
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        large = folder / "large.jsonl"
        start = time.perf_counter()
        fill(large, rows[: args.recorded], args.figures)
        print(
            f"a ledger of {args.recorded:,} architectures with {args.figures} figures each: "
            f"{large.stat().st_size / 1e6:.0f} MB, written in {time.perf_counter() - start:.1f} s"
        )
        figures = {
            **checks(rows, args.rounds),
            **searches(folder, large, args.figures, args.rounds),
        }
    for key, value in figures.items():
        print(f"{key}: {value:,}")
    for kind in ("batched", "single"):
        rate = figures[f"{kind}_checks_per_second"]
        mark(f"{kind}: at least {CHECKS:,} checks a second", rate >= CHECKS)
    new, recorded = (figures[f"bookkeeping_seconds{end}"] for end in ("", "_with_recorded"))
    mark(f"bookkeeping under {NEW} s", new < NEW)
    mark(f"with {args.recorded:,} recorded under {RECORDED} s", recorded < RECORDED)
    report("space", {**figures, "recorded": args.recorded, "figures_a_candidate": args.figures})


def checks(rows: np.ndarray, rounds: int) -> dict[str, int]:
    """Architectures a second: in batches, as random ones are drawn; one by one, as children are."""
    batches = np.split(rows, len(rows) // BATCH)
    singles = [Architecture(SPACE, tuple(row.tolist())) for row in rows[:10_000]]
    seconds = alternate(
        {
            "batched": lambda: [LIMIT.allows(batch) for batch in batches],
            "single": lambda: [allows(LIMIT, architecture) for architecture in singles],
        },
        rounds,
    )
    counts = {"batched": len(rows), "single": len(singles)}
    return {
        f"{kind}_checks_per_second": round(counts[kind] / statistics.median(times))
        for kind, times in seconds.items()
    }


def searches(folder: Path, large: Path, figures: int, rounds: int) -> dict[str, float]:
    """Seconds of 1,000 candidates, the ledger's opening included."""
    logging.disable(logging.INFO)
    seconds: dict[str, list[float]] = {"new": [], "open": [], "large": []}
    for _ in range(rounds):
        for kind in ("new", "large"):
            path = folder / "ledger.jsonl"
            if kind == "large":
                shutil.copy(large, path)
            before = 0
            start = time.perf_counter()
            with Ledger(path, HEADER, SPACE, resume=True) as ledger:
                before = len(ledger)
                if kind == "large":
                    seconds["open"].append(time.perf_counter() - start)
                search(ledger, figures)
                added = len(ledger) - before
            seconds[kind].append(time.perf_counter() - start)
            assert added == 1000, added
            path.unlink()
    logging.disable(logging.NOTSET)
    medians = {kind: round(statistics.median(times), 2) for kind, times in seconds.items()}
    return {
        "bookkeeping_seconds": medians["new"],
        "bookkeeping_seconds_with_recorded": medians["large"],
        "of_which_opening": medians["open"],
    }


def search(ledger: Ledger, figures: int) -> None:
    weights = np.random.default_rng(1).random((SPACE.num_blocks, SPACE.num_choices)).tolist()

    def fitness(architecture: Architecture) -> tuple[float, dict[str, float]]:
        value = sum(row[choice] for row, choice in zip(weights, architecture, strict=True))
        return value, {f"bbox/AP-{i}": value * i for i in range(figures)}

    # another seed than the rows': none of its candidates is recorded
    algorithm = EvolutionarySearch(SPACE, LIMIT, population=50, generations=20, seed=2)
    observers = [Progress(algorithm.candidates)]
    algorithm.run(Evaluator(InProcessExecutor(fitness), COST, ledger, observers))


def fill(path: Path, rows: np.ndarray, figures: int) -> None:
    """A ledger of these architectures."""
    rng = np.random.default_rng(3)
    architectures = [Architecture(SPACE, tuple(row.tolist())) for row in rows]

    def fitness(architecture: Architecture) -> tuple[float, dict[str, float]]:
        values = (100 * rng.random(figures)).tolist()
        return values[0], {f"bbox/AP-{i}": value for i, value in enumerate(values)}

    with Ledger(path, HEADER, SPACE) as ledger:
        Evaluator(InProcessExecutor(fitness), COST, ledger)(architectures, 0)
        if len(ledger) < len(rows):
            raise RuntimeError(f"{len(ledger)} different architectures among {len(rows)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recorded", type=int, default=100_000, help="in the large ledger")
    parser.add_argument("--figures", type=int, default=9, help="metrics of a candidate")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="on the disk to measure; by default the system's /tmp")
    main(parser.parse_args())
