"""Measures how long each choice of each block takes on the device at hand.

    python -m detnas_d2.evaluation.latency SPACE --output latency.json [--device cuda]

SPACE is a name (300m, ...) or a config file. Writes a latency table for search.latency_table, with
which search.latency_limit is in milliseconds of one forward of the backbone's body in eval mode
(see measure_latency). It is measured at search.input_size of the config, else at 224x224: set
--input-size to what the detector sees. At the end it says how well the table predicts whole
networks; a median error over 10% is warned of.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ..commands import add_debug, command
from ..errors import ConfigError
from ..files import write_atomically
from ..space import LatencyTable
from ..space_file import configured_input_size, load_space
from ..trust import add_trust
from .timing import NETWORKS, measure_latency

MARK = 0.10  # median error on whole networks
_BUSY = 1.5  # times the undisturbed time


@command("latency")
def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m detnas_d2.evaluation.latency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_trust(add_debug(parser))
    parser.add_argument("space", metavar="SPACE", help="name of a space, or a config file")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")
    parser.add_argument("--input-size", nargs=2, type=int, metavar=("H", "W"))
    parser.add_argument("--batch-size", type=_positive, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=_positive, help="of PyTorch on a CPU")
    parser.add_argument("--rounds", type=_positive, default=40, help="times of each choice")
    args = parser.parse_args(argv)
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("PyTorch sees no GPU here; measure on --device cpu, or where one is.")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    table = measure_latency(
        load_space(args.space, trust=args.trust),
        args.input_size or configured_input_size(args.space, trust=args.trust) or (224, 224),
        batch_size=args.batch_size,
        device=args.device,
        threads=args.threads,
        rounds=args.rounds,
        progress=True,
    )
    write_atomically(args.output, json.dumps(table.to_json(), allow_nan=False) + "\n")
    _report(table, args.output)


def _report(table: LatencyTable, output: Path) -> None:
    check = table.check
    height, width = table.input_size
    fastest, slowest = min(check["measured_ms"]), max(check["measured_ms"])
    correlation = check["rank_correlation"]
    print(
        f"{output}: space {table.space}, {height}x{width}, batches of {table.batch_size}, on "
        f"{table.device_name} ({table.threads} threads), torch {table.torch}\n"
        f"checked on {NETWORKS} other networks as a whole, {fastest:.2f} to {slowest:.2f} ms: "
        f"median error {check['median_error']:.1%}, largest {check['largest_error']:.1%}, rank "
        f"correlation {'none' if correlation is None else f'{correlation:.2f}'}\n"
        f"networks took {check['factor']:.2f} times what their blocks take undisturbed"
    )
    if check["median_error"] > MARK or check["factor"] > _BUSY:
        print(
            f"WARNING: expected are a median error of at most {MARK:.0%} and, on an idle machine, "
            "about 1 times the undisturbed time; measure again on an idle one",
            file=sys.stderr,
        )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    main()
