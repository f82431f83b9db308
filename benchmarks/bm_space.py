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
import tempfile
from pathlib import Path

import numpy as np
from measuring import alternate, mark, parser, report

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
    logging.disable(logging.INFO)
    rows = np.random.default_rng(0).integers(SPACE.num_choices, size=(2**18, SPACE.num_blocks))
    rates = checks(rows, args.rounds)
    new, recorded = searches(rows[: args.recorded], args)
    for kind, rate in rates.items():
        mark(f"{kind}: at least {CHECKS:,} checks a second", rate >= CHECKS)
    mark(f"bookkeeping under {NEW} s", new < NEW)
    mark(f"with {args.recorded:,} recorded under {RECORDED} s", recorded < RECORDED)
    figures = {
        **{f"{kind}_checks_per_second": rate for kind, rate in rates.items()},
        "bookkeeping_seconds": round(new, 2),
        "bookkeeping_seconds_with_recorded": round(recorded, 2),
    }
    report("space", {**figures, "recorded": args.recorded, "figures_a_candidate": args.figures})


def checks(rows: np.ndarray, rounds: int) -> dict[str, int]:
    """Architectures a second: in batches, as random ones are drawn; one by one, as children are."""
    batches = np.split(rows, len(rows) // BATCH)
    singles = [Architecture(SPACE, tuple(row.tolist())) for row in rows[:10_000]]
    contenders = {
        "batched": lambda: [LIMIT.allows(batch) for batch in batches],
        "single": lambda: [LIMIT.meets(architecture) for architecture in singles],
    }
    _, seconds = alternate(contenders, rounds)
    counts = {"batched": len(rows), "single": len(singles)}
    return {kind: round(count / seconds[kind]) for kind, count in counts.items()}


def searches(rows: np.ndarray, args: argparse.Namespace) -> tuple[float, float]:
    """Seconds of 1,000 candidates, the ledger's opening included: a new one, one with `rows`."""
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
                progress = Progress(algorithm.candidates)
                before = len(ledger)
                algorithm.run(Evaluator(executor, COST, ledger, progress))
                assert len(ledger) - before == 1000
            path.unlink()

        def search_with_recorded() -> None:
            shutil.copy(recorded, path)
            search()

        contenders = {"new": search, "recorded": search_with_recorded}
        _, seconds = alternate(contenders, args.rounds, warm_up=0)
    return seconds["new"], seconds["recorded"]


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--recorded", type=int, default=100_000, help="in the large ledger")
    arguments.add_argument("--figures", type=int, default=9, help="metrics of a candidate")
    main(arguments.parse_args())
