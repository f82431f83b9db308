#!/usr/bin/env python3
"""How well the fitness of a search ranks networks: beside the same networks trained alone.

    python tools/rank.py output/custom/step3_search               # trains 8 candidates alone
    python tools/rank.py output/custom/step3_search --estimate    # how long that will take, no more
    python tools/rank.py SEARCH_FOLDER --truth projects/DetNAS/table/table.json

Without a table, candidates spread over the order of fitness are trained alone and tested, by the
configs that the search names for that (search.retrain), after an estimate of their time; more than
a day needs --long. The same command goes on where it was stopped, and with more --networks or
--seeds only what is missing is trained.

Writes ranking.json to SEARCH_FOLDER, and its report anew: Kendall's tau, Spearman's rho, precision
and regret, beside those of multiply-adds alone and the agreement of seeds (docs/report.md).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detectron2.config import instantiate
from run_steps import estimate
from tabulate import tabulate

from detnas_d2.commands import command, new_parser
from detnas_d2.data.own_settings import own_settings
from detnas_d2.engine import load_config
from detnas_d2.engine.setup import CONFIG_FILE
from detnas_d2.files import write_json
from detnas_d2.ranking import (
    LEAST,
    RANKING_FILE,
    RankingError,
    alone_steps,
    chain_of,
    compare,
    in_words,
    propose,
    read_truth,
    table,
)
from detnas_d2.report import write_report
from detnas_d2.search import Evaluation, read_ledger
from detnas_d2.search.ledger import LEDGER_FILE
from detnas_d2.search.results import BEST_FILE
from detnas_d2.space import Architecture
from detnas_d2.space_file import load_space
from detnas_d2.steps import STOPPED, Step, is_own, run_steps
from detnas_d2.trust import add_trust

ROOT = Path(__file__).resolve().parent.parent


def steps_of(
    cfg: Any, evaluations: Sequence[Evaluation], args: argparse.Namespace
) -> dict[Architecture, list[list[Step]]]:
    """Of each proposed candidate the steps of each seed, the test last."""
    if not (args.folder / BEST_FILE).is_file():
        raise RankingError(
            f"The search in {args.folder} has not ended, so its order of candidates may change. Go "
            "on with it first: search_net.py --config-file … --resume."
        )
    chain = chain_of(cfg, ROOT, trust=args.trust)
    folder, gpus = (ROOT / chain[0].config).parent, args.num_gpus
    if is_own(folder):
        if gpus is not None:
            raise RankingError(
                f"--num-gpus is for the configs of this repository; of {folder} the GPUs are those "
                "of the machine that settings.py names. Leave it out."
            )
        gpus = own_settings(folder)[1].gpus
    return {
        architecture: [
            alone_steps(chain, architecture, seed, ROOT, gpus or 0) for seed in range(args.seeds)
        ]
        for architecture in propose(evaluations, args.networks)
    }


def tested(
    steps: Mapping[Architecture, Sequence[Sequence[Step]]], metric: str
) -> tuple[dict[Architecture, list[float]], dict[str, str]]:
    """The figure of each network by each seed, 0 where nothing was detected; and what it is."""
    metrics = {a: [run[-1].metrics() for run in runs] for a, runs in steps.items()}
    known = set.intersection(*(set(m) for runs in metrics.values() for m in runs))
    name = metric if metric in known else "bbox/AP"
    if name not in known:
        raise RankingError(
            f"The tests of the networks give neither {metric}, which the search went by, nor "
            f"bbox/AP, but {', '.join(sorted(known)) or 'nothing'}."
        )
    ((*_, test), *_), *_ = steps.values()
    images = str(test.cfg.dataloader.test.dataset.names)
    about = {"metric": name, "images": images, "source": "candidates of this search"}
    return {a: [m[name] or 0.0 for m in runs] for a, runs in metrics.items()}, about


def rank(args: argparse.Namespace) -> None:
    args.folder = args.folder.resolve()
    ledger, config = args.folder / LEDGER_FILE, str(args.folder / CONFIG_FILE)
    if not ledger.is_file():
        raise RankingError(
            f"There is no {LEDGER_FILE} in {args.folder}; give the output folder of a search, "
            "which search_net.py writes."
        )
    truth = args.truth.resolve() if args.truth else None
    os.chdir(ROOT)
    cfg, space = load_config(config, trust=args.trust), load_space(config, trust=args.trust)
    _, evaluations = read_ledger(ledger, space)
    metric = instantiate(cfg.search.fitness).metric
    if truth:
        name = metric.removeprefix("bbox/") if metric.startswith("bbox/") else "AP"
        alone = read_truth(truth, space, name, validation=args.images == "validation")
        about = {"metric": name, "images": f"{args.images} images", "source": truth.name}
    else:
        steps = steps_of(cfg, evaluations, args)
        in_order = [step for runs in steps.values() for run in runs for step in run]
        print(f"{len(steps)} candidates, spread over the fitness, are trained alone.")
        file = args.folder / "ranking_estimate.json"
        expected = estimate(in_order, file, only=args.estimate, long=args.long)
        if args.estimate:
            return
        run_steps(in_order, expected=expected)
        alone, about = tested(steps, metric)
    fitness = {"metric": metric, "images": str(cfg.dataloader.test.dataset.names)}
    content = compare(evaluations, alone, fitness, about)
    file = args.folder / RANKING_FILE
    write_json(file, content, indent=1)
    figures = tabulate(table(content), headers="firstrow", disable_numparse=True)
    print(*in_words(content), figures, sep="\n")
    print(f"figures: {file}")
    print(f"the report, for a browser: {write_report(args.folder)}")


@command("rank.py", interrupted=STOPPED, sigterm=True)
def main(argv: Sequence[str]) -> None:
    parser = add_trust(new_parser(__doc__))
    parser.add_argument("folder", metavar="SEARCH_FOLDER", type=Path)
    parser.add_argument("--truth", metavar="FILE", type=Path, help="a table of networks")
    images = ("test", "validation")
    parser.add_argument("--images", choices=images, default="test", help="of the table's figures")
    parser.add_argument("--networks", type=int, default=8, help="to be trained alone (default: 8)")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each (default: 1)")
    parser.add_argument("--num-gpus", type=int, help="of a training")
    parser.add_argument("--estimate", action="store_true", help="show the times and end")
    parser.add_argument("--long", action="store_true", help="run for more than a day")
    args = parser.parse_args(argv)
    if args.networks < LEAST or args.seeds < 1:
        parser.error(f"an order needs at least --networks {LEAST} and --seeds 1")
    rank(args)


if __name__ == "__main__":
    main()
