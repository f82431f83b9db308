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
from detnas_d2.space import Architecture, CostTable, get_space

SPACE = get_space("300m")
COST = CostTable(SPACE)
LIMIT = CostLimits(SPACE, [CostLimit(COST.flops, 300e6)])
HEADER = make_header(SPACE, "config", "checkpoint", 0)
BATCH = 2**11  # rows that random draws check at once
CHECKS, NEW, RECORDED = 100_000, 5.0, 10.0  # the marks: a second; seconds


def main(args: argparse.Namespace) -> None:
    rows = np.random.default_rng(0).integers(SPACE.num_choices, size=(2**18, SPACE.num_blocks))
    figures = {**checks(rows, args.rounds), **searches(rows[: args.recorded], args)}
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
            "single": lambda: [LIMIT.meets(architecture) for architecture in singles],
        },
        rounds,
    )
    counts = {"batched": len(rows), "single": len(singles)}
    return {
        f"{kind}_checks_per_second": round(counts[kind] / statistics.median(times))
        for kind, times in seconds.items()
    }


def searches(rows: np.ndarray, args: argparse.Namespace) -> dict[str, float]:
    """Seconds of 1,000 candidates, the ledger's opening included."""
    logging.disable(logging.INFO)
    weights = np.random.default_rng(1).random((SPACE.num_blocks, SPACE.num_choices)).tolist()

    def fitness(architecture: Architecture) -> tuple[float, dict[str, float]]:
        value = sum(row[choice] for row, choice in zip(weights, architecture, strict=True))
        return value, {f"bbox/AP-{i}": value * i for i in range(args.figures)}

    executor = InProcessExecutor(fitness)
    with tempfile.TemporaryDirectory() as folder:
        recorded, path = Path(folder) / "recorded.jsonl", Path(folder) / "ledger.jsonl"
        with Ledger(recorded, HEADER, SPACE) as ledger:
            architectures = [Architecture(SPACE, tuple(row.tolist())) for row in rows]
            Evaluator(executor, COST, ledger)(architectures, 0)

        def search() -> None:
            # another seed than the rows': none of its candidates is recorded
            algorithm = EvolutionarySearch(SPACE, LIMIT, population=50, generations=20, seed=2)
            with Ledger(path, HEADER, SPACE, resume=True) as ledger:
                observers = [Progress(algorithm.candidates)]
                before = len(ledger)
                algorithm.run(Evaluator(executor, COST, ledger, observers))
                assert len(ledger) - before == 1000
            path.unlink()

        def search_with_recorded() -> None:
            shutil.copy(recorded, path)
            search()

        seconds = alternate({"": search, "_with_recorded": search_with_recorded}, args.rounds, 0)
    logging.disable(logging.NOTSET)
    return {
        f"bookkeeping_seconds{end}": round(statistics.median(times), 2)
        for end, times in seconds.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recorded", type=int, default=100_000, help="in the large ledger")
    parser.add_argument("--figures", type=int, default=9, help="metrics of a candidate")
    parser.add_argument("--rounds", type=int, default=5)
    main(parser.parse_args())
