#!/usr/bin/env python3
"""The shape of the paper's Table 4 on data that every machine has.

    python projects/DetNAS/reproduce.py            # all studies, in an hour and a half on 2 cores
    python projects/DetNAS/reproduce.py --only digits_fpn

Rows: ShuffleNetV2 (all 3x3), ClsNASNet (fitness: accuracy), Random (5 architectures), DetNAS-S
(supernet from scratch) and DetNAS-P (with classification first), each retrained alike. Studies:
handwriting over photographs with FPN and with RetinaNet, and BCCD with FPN. On the handwriting
with FPN also: how well the supernet ranks 12 architectures that are trained alone.

The same command goes on where it was stopped. Writes output/reproduce/results.json and table.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from paper.rescore import rescore_as_voc
from paper.voc_form import register_voc
from studies import ROOT, STUDIES, Network, Study

from detnas_d2.commands import command, new_parser
from detnas_d2.data import STUDY_DIGITS, register_builtin_datasets, write_bccd_boxes, write_digits
from detnas_d2.data.builtin import bccd_root
from detnas_d2.data.catalog import ROOT_VARIABLE
from detnas_d2.files import write_atomically
from detnas_d2.ranking import kendall
from detnas_d2.search import read_ledger
from detnas_d2.space import Architecture
from detnas_d2.steps import STOPPED, run_steps

OUTPUT = ROOT / "output" / "reproduce"
FIGURES = ("AP", "AP50", "VOC mAP")


def make_data(folder: Path, studies: list[Study]) -> None:
    """The data sets of the studies in one folder, which is made $DETECTRON2_DATASETS."""
    bccd = bccd_root().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if bccd.is_dir() and not (folder / "bccd").exists():
        (folder / "bccd").symlink_to(bccd)
    os.environ[ROOT_VARIABLE] = str(folder)
    write_digits(folder / "digits", STUDY_DIGITS)
    register_builtin_datasets()
    register_voc(folder / "digits")
    if any(study.data == "bccd" for study in studies):
        write_bccd_boxes()


def figures(study: Study, network: Network, seed: int) -> dict[str, float | None]:
    """What one retrained network reaches on the test set, in percent."""
    *_, test = study.retraining(network, seed)
    metrics = test.metrics()
    predictions = str(test.folder / "coco_instances_results.json")
    voc = rescore_as_voc(predictions, f"{study.data}_test", f"{study.data}_voc_test")
    return {"AP": metrics["bbox/AP"], "AP50": metrics["bbox/AP50"], "VOC mAP": voc["AP50"]}


def results_of(study: Study, seconds: dict[str, float]) -> dict[str, Any]:
    """The raw results of a study."""
    runs = [
        {"row": n.row, "network": n.name, "seed": seed, **figures(study, n, seed)}
        for n in study.networks()
        for seed in n.seeds
    ]
    steps = list(study.steps())
    searches = {}
    for step in (s for s in steps if s.kind == "search"):
        _, evaluations = read_ledger(str(step.folder / "ledger.jsonl"), study.space)
        searches[step.name] = [
            {"architecture": str(e.architecture), "fitness": e.fitness, "flops": e.flops}
            for e in evaluations
        ]
    minutes = round(sum(seconds[s.name] for s in steps) / 60, 1)
    result = {"title": study.title, "minutes": minutes, "runs": runs, "searches": searches}
    if study.ranks:
        result["tau"] = rank_correlation(
            study, runs, searches[f"{study.folder}/step3_score_{study.detector}"]
        )
    return result


def rank_correlation(
    study: Study, runs: list[dict[str, Any]], scores: list[dict[str, Any]]
) -> dict[str, Any]:
    """Kendall's tau-b between fitness in the supernet and AP of the network trained alone.

    AP is the mean over the seeds. A network that detects nothing has no AP in the files, and
    counts as 0; so does a candidate that failed.
    """
    fitness = {s["architecture"]: s["fitness"] or 0.0 for s in scores}
    pairs = []
    for n in (n for n in study.networks() if n.ranked):
        architecture = str(Architecture.parse(n.architecture, study.space))
        alone = fmean(r["AP"] or 0.0 for r in runs if r["network"] == n.name)
        pairs.append((fitness[architecture], alone))
    tau = kendall(*map(list, zip(*pairs, strict=True)))
    return {
        "tau": tau["value"],
        "low": tau["low"],
        "high": tau["high"],
        "architectures": len(pairs),
        "fitness_and_AP": pairs,
    }


def table(results: dict[str, Any]) -> str:
    """Mean and standard deviation by row and study, as Markdown."""
    lines = [
        "| " + " | ".join(["AP / AP50 / VOC mAP", *(r["title"] for r in results.values())]) + " |",
        "|---" * (1 + len(results)) + "|",
    ]
    rows = dict.fromkeys(run["row"] for r in results.values() for run in r["runs"] if run["row"])
    for row in rows:
        cells = []
        for result in results.values():
            runs = [run for run in result["runs"] if run["row"] == row]
            cells.append(" / ".join(_mean([run[f] for run in runs]) for f in FIGURES))
        lines.append("| " + " | ".join([row, *cells]) + " |")
    minutes = " | ".join(f"{r['minutes']:.0f}" for r in results.values())
    lines.append(f"| minutes of its steps, one thread each | {minutes} |")
    for result in results.values():
        if tau := result.get("tau"):
            figures = "undefined, for all are alike,"
            if tau["tau"] is not None:
                figures = f"{tau['tau']:.2f} (95%: {tau['low']:.2f} to {tau['high']:.2f})"
            lines.append(
                f"\n{result['title']}: Kendall's tau {figures} over {tau['architectures']} "
                "architectures"
            )
    return "\n".join(lines) + "\n"


def _mean(values: list[float | None]) -> str:
    numbers = [v for v in values if v is not None]
    if len(numbers) < len(values):
        return "none"  # a network that detects nothing has no AP
    return f"{fmean(numbers):.1f}±{stdev(numbers):.1f}"


def run(names: list[str], jobs: int) -> None:
    os.chdir(ROOT)
    studies = [s for s in STUDIES if not names or s.name in names]
    make_data(OUTPUT / "datasets", studies)
    for study in studies:
        study.draw_architectures()
    steps = {step.name: step for study in studies for step in study.steps()}
    seconds = run_steps(list(steps.values()), jobs=jobs)
    results = {study.name: results_of(study, seconds) for study in studies}
    write_atomically(str(OUTPUT / "results.json"), json.dumps(results, indent=1) + "\n")
    write_atomically(str(OUTPUT / "table.md"), table(results))
    print(table(results), f"raw results: {OUTPUT / 'results.json'}", sep="\n")


@command("reproduce.py", interrupted=STOPPED, sigterm=True)
def main(argv: Sequence[str]) -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=[s.name for s in STUDIES], default=[])
    parser.add_argument(
        "--jobs",
        type=int,
        default=2,
        help="steps run at a time, sharing the cores (default: 2); the same in all calls, for a "
        "search goes on with the same number of threads only",
    )
    args = parser.parse_args(argv)
    run(args.only, args.jobs)


if __name__ == "__main__":
    main()
