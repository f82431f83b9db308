#!/usr/bin/env python3
"""How well the latency table predicts whole networks: the command on the 300m space.

    python benchmarks/bm_latency.py                   # a minute on an idle core
    python benchmarks/bm_latency.py --threads 2 --input-size 320 320

The mark is a median error of at most 0.10 on random networks that the table was not made from. A
constant, the median network's time, is the other prediction that needs no knowledge of blocks; it
shows how far the networks lie apart.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from measuring import mark, report

from detnas_d2.evaluation.latency import main as measure
from detnas_d2.space import LatencyTable

MARK = 0.1


def main(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "latency.json"
        size = [str(n) for n in args.input_size]
        command = ["300m", "--output", str(path), "--threads", str(args.threads)]
        measure([*command, "--rounds", str(args.rounds), "--input-size", *size])
        table = LatencyTable.read(path)
    check = table.check
    measured = np.array(check["measured_ms"])
    names = ("median_error", "largest_error", "rank_correlation", "factor")
    figures = {
        **{name: check[name] for name in names},
        "median_error_of_a_constant": float(np.median(abs(np.median(measured) / measured - 1))),
        "milliseconds": [measured.min(), measured.max()],
        "threads": table.threads,
        "input_size": list(table.input_size),
    }
    mark(f"median error at most {MARK:.0%}", check["median_error"] <= MARK)
    report("latency", figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40, help="times of each choice")
    parser.add_argument("--input-size", type=int, nargs=2, default=[224, 224])
    main(parser.parse_args())
