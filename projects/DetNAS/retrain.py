#!/usr/bin/env python3
"""Retrain and test networks as a row of the paper's tables: one that is given, or random ones.

    python projects/DetNAS/retrain.py configs/coco/step3_search_fpn_300m.py \\
        configs/coco/step4_detection_fpn_300m.py --num-gpus 8 \\
        --architecture 2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2 --name detnasnet
    python projects/DetNAS/retrain.py configs/coco/step3_search_fpn_300m.py \\
        configs/coco/step4_detection_fpn_300m.py --num-gpus 8 --count 5     # the row "Random"

SEARCH_CONFIG gives the space, the limit of random networks and the configs of the retraining
(search.retrain); TEST_CONFIG is the one of them whose networks are tested. Each network goes
through them up to that one, in folders of its own, going on where it was stopped. Writes
<TEST_CONFIG>_<NAME>.json beside these folders: the metrics of each, their mean and, of several,
their standard deviation.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from detnas_d2.commands import command, new_parser
from detnas_d2.engine import ConfigError, load_config
from detnas_d2.files import write_json
from detnas_d2.steps import STOPPED, Step, run_steps

ROOT = Path(__file__).resolve().parents[2]


def plan(search_config: str, test_config: str, networks: dict[str, str], gpus: int) -> list[Step]:
    """Retraining and test of each network; names of steps and folders end with its own.

    Raises:
        ConfigError: the search does not name the test config for its retrainings.
    """
    configs = [ROOT / c for c in load_config(search_config).search.retrain]
    test = ROOT / test_config
    if test not in configs:
        raise ConfigError(
            f"{test_config} is none that {search_config} retrains by (search.retrain: "
            f"{', '.join(c.stem for c in configs) or 'none'}); give one of these."
        )
    kinds = [*(("train", c) for c in configs[: configs.index(test) + 1]), ("test", test)]
    return [
        Step(
            config.stem if kind == "train" else f"{config.stem}_test", kind, config, ROOT, gpus=gpus
        ).for_architecture(architecture, name)
        for name, architecture in networks.items()
        for kind, config in kinds
    ]


def summarise(architectures: Iterable[str], tests: list[Step]) -> dict[str, Any]:
    """Metrics by architecture; mean and standard deviation of those that all have."""
    runs = [test.metrics() for test in tests]
    figures = [m for m in runs[0] if all(run.get(m) is not None for run in runs)]
    return {
        "runs": [{"architecture": a, **r} for a, r in zip(architectures, runs, strict=True)],
        "mean": {m: fmean(r[m] for r in runs) for m in figures},
        "deviation": {m: stdev(r[m] for r in runs) for m in figures if len(runs) > 1},
    }


def run(args: argparse.Namespace) -> None:
    args.search_config = os.path.abspath(args.search_config)
    args.test_config = os.path.abspath(args.test_config)
    if args.architecture and args.architecture.endswith(".json"):
        args.architecture = os.path.relpath(args.architecture, ROOT)
    os.chdir(ROOT)
    if args.architecture:
        networks = {args.name: args.architecture}
    else:
        search = Step("search", "search", Path(args.search_config), ROOT)
        drawn = search.draw(args.count, args.seed)
        networks = {f"{args.name}_{i}": str(a) for i, a in enumerate(drawn)}
    steps = plan(args.search_config, args.test_config, networks, args.num_gpus)
    run_steps(steps)
    tests = [s for s in steps if s.kind == "test"]
    summary = summarise(networks.values(), tests)
    path = tests[0].folder.parent / f"{Path(args.test_config).stem}_{args.name}.json"
    write_json(path, summary, indent=1)
    for metric, mean in summary["mean"].items():
        spread = summary["deviation"].get(metric)
        print(f"{metric:24s}{mean:8.2f}" + (f" ± {spread:.2f}" if spread is not None else ""))
    print(f"figures: {path}")


@command("retrain.py", interrupted=STOPPED, sigterm=True)
def main(argv: Sequence[str]) -> None:
    parser = new_parser(__doc__)
    parser.add_argument("search_config", metavar="SEARCH_CONFIG")
    parser.add_argument("test_config", metavar="TEST_CONFIG")
    parser.add_argument("--architecture", help="2,1,2,0,… or a best_architecture.json")
    parser.add_argument("--name", help="ends the names of the folders; random ones: random")
    parser.add_argument("--count", type=int, default=5, help="random architectures (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="of the drawing; not search.seed")
    parser.add_argument("--num-gpus", type=int, default=0)
    args = parser.parse_args(argv)
    if args.count < 2:
        parser.error("--count has to be at least 2: a deviation is wanted")
    if args.architecture and not args.name:
        parser.error("--architecture needs --name, which ends the names of its folders")
    args.name = args.name or "random"
    run(args)


if __name__ == "__main__":
    main()
