#!/usr/bin/env python3
"""How well the latency table predicts whole networks of the 300m space.

    python benchmarks/bm_latency.py                   # a minute on an idle core
    python benchmarks/bm_latency.py --threads 2 --input-size 320 320

The mark is a median error of at most 0.10 on random networks that the table was not made from. A
constant, the median network's time, is the other prediction that needs no knowledge of blocks; it
shows how far the networks lie apart.
"""

from __future__ import annotations

import argparse

import numpy as np
from measuring import mark, parser, report

from detnas_d2.evaluation.latency import measure_latency
from detnas_d2.space import get_space
from detnas_d2.space.latency_table import LATENCY_ERROR


def main(args: argparse.Namespace) -> None:
    space = get_space("300m")
    table = measure_latency(space, args.input_size, threads=args.threads, rounds=args.rounds)
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
    mark(f"median error at most {LATENCY_ERROR:.0%}", check["median_error"] <= LATENCY_ERROR)
    report("latency", figures)


if __name__ == "__main__":
    arguments = parser(__doc__, rounds=40)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--input-size", type=int, nargs=2, default=[224, 224])
    main(arguments.parse_args())
