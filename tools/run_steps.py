#!/usr/bin/env python3
"""Run all steps of DetNAS on one data set, each going on where it was stopped.

    python tools/run_steps.py demo                        # real handwriting over photographs
    python tools/run_steps.py bccd --detector fpn         # real blood-cell images, COCO form
    python tools/run_steps.py bccd --detector retinanet   # the same, VOC form
    python tools/run_steps.py custom                      # your own: set configs/custom/settings.py
    python tools/run_steps.py custom --estimate           # how long that will take, and no more

Supernet (classification, detection), search, then the best architecture and a random one
retrained alike and tested. A finished step leaves done.json in its folder and is not run again.
Writes output/NAME/summary.json (with --detector: output/NAME/summary_DETECTOR.json).

With own data (custom, or any copy of configs/custom) there is no classification, and the best
architecture is also fine-tuned from its weights in the supernet; both are tested. Before the first
step all are measured for a moment; more than a day in all needs --long.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from detnas_d2.commands import command, new_parser
from detnas_d2.data import DEMO_DIGITS, datasets_root, write_bccd_boxes, write_digits
from detnas_d2.data.own import prepare_folder
from detnas_d2.driver.estimate import Predicted, estimate_table, predict
from detnas_d2.engine import ConfigError
from detnas_d2.engine.overrides import as_override
from detnas_d2.files import write_json
from detnas_d2.report import draw_detections, write_report
from detnas_d2.search import read_ledger
from detnas_d2.steps import STOPPED, Step, StepError, is_own, run_steps

ROOT = Path(__file__).resolve().parent.parent
STEPS = {
    "step1_supernet": ("train", "step1_supernet"),
    "step2_supernet": ("train", "step2_supernet"),
    "step3_search": ("search", "step3_search"),
    "step4_classification": ("train", "step4_classification"),
    "step4_detection": ("train", "step4_detection"),
    "step5_test": ("test", "step4_detection"),
}
OWN_STEPS = {  # the first results come early
    "step2_supernet": ("train", "step2_supernet"),
    "step3_search": ("search", "step3_search"),
    "step4_finetune": ("train", "step4_finetune"),
    "step5_test_finetune": ("test", "step4_finetune"),
    "step4_detection": ("train", "step4_detection"),
    "step5_test": ("test", "step4_detection"),
}
"""Of each step in their order its kind and its config, with or without _DETECTOR at its end; a
test is of what the same config trains."""
COMPARED = ("step4_classification", "step4_detection", "step5_test")  # for a random network too
NETWORKS = {
    "test": ("searched", "step5_test", "step4_detection"),
    "finetuned": ("fine-tuned", "step5_test_finetune", "step4_finetune"),
    "random": ("random", "step5_test_random", "step4_detection_random"),
}
"""Of the summary's keys: what the network is, and the steps that test and train it."""
RANDOM_SEED = 1  # of the random architecture
DAY = 86_400.0


def steps_of(folder: Path, detector: str | None) -> list[Step]:
    """The steps of a folder of configs, without those of the random network.

    Raises:
        ConfigError: a config is missing; or settings that can't be used.
    """
    gpus, steps = 0, []
    if is_own(folder):
        _, machine = prepare_folder(folder)  # step 0
        gpus = machine.gpus
    for name, (kind, config) in (OWN_STEPS if is_own(folder) else STEPS).items():
        files = [folder / f"{config}_{detector}.py", folder / f"{config}.py"]
        there = [file for file in files if file.is_file()]
        if not there:
            raise ConfigError(f"There is no config {files[-1]} (detector {detector}).")
        steps.append(Step(name, kind, there[0], ROOT, gpus=gpus))
        steps[-1].cfg  # noqa: B018  what can't be used ends here
    return steps


def with_random(steps: Sequence[Step], random_file: Path) -> list[Step]:
    """The steps, and those that retrain and test the random network in the same way."""
    compared = [s for s in steps if s.name in COMPARED]
    written = {s.writes for s in compared}
    more = []
    for s in compared:
        start = s.cfg.train.init_checkpoint
        kept = start and start not in written
        same = [as_override("train.init_checkpoint", start)] if kept else []
        more.append(s.for_architecture(str(random_file), "random", *same))
    return [*steps, *more]


def estimate(steps: Sequence[Step], file: Path, *, only: bool, long: bool) -> dict[str, float]:
    """Show how long the trainings and searches to come will take, measured on the first call.

    Args:
        file: in which what was measured is kept.
        only: nothing is run afterwards: results of other settings are told, not refused.
        long: go on where it is more than a day.

    Returns:
        predicted seconds by step.

    Raises:
        StepError: it is more than a day, without `long` or `only`.
    """
    left = []
    for step in (s for s in steps if s.kind != "test"):
        try:
            left += [step] if step.seconds() is None else []
        except ConfigError as e:
            if not only:
                raise
            print(f"a run would end with: {e}")
            left.append(step)
    if not left:
        print("all trainings and searches are done")
        return {}
    configs = {s.name: [s.made_of()["config"], s.gpus] for s in left}
    try:
        known = json.loads(file.read_text())
        measured = {n: Predicted(*p) for n, (p, of) in known.items() if configs.get(n) == of}
    except (OSError, ValueError, TypeError, AttributeError):  # none, or of an earlier version
        measured = {}
    if len(measured) < len(left):
        print("measuring how long the steps will take …", flush=True)
        by_config = {s.config: s for s in left}  # a random network takes as long as another
        found = {config: predict(s.name, s.cfg, s.gpus) for config, s in by_config.items()}
        measured = {s.name: found[s.config]._replace(name=s.name) for s in left}
        kept = {name: (p, configs[name]) for name, p in measured.items()}
        write_json(file, kept)
    print(estimate_table([measured[s.name] for s in left]))
    for step in left:
        if spent := sum(step.earlier_starts()):
            print(f"of {step.name} {spent:.0f} s are done")
    if sum(p.seconds for p in measured.values()) > DAY and not long:
        folder, shorter = steps[0].config.parent, ""
        if is_own(folder):
            shorter = (
                " Shorter: fewer iterations (epochs, least, most), smaller images (short_edge), "
                "fewer candidates (population, generations), fewer calibration_images in a row of "
                f"{folder / 'machines.py'}."
            )
        text = f"That is over a day.{shorter} Go on as it is with --long."
        if not only:
            raise StepError(text)
        print(text)
    return {name: p.seconds for name, p in measured.items()}


def run(dataset: str, detector: str | None, *, only_estimate: bool, long: bool) -> None:
    os.chdir(ROOT)
    folder = ROOT / "configs" / dataset
    if dataset == "demo":
        write_digits(datasets_root() / "digits", DEMO_DIGITS)
    elif dataset == "bccd":
        write_bccd_boxes()
    steps = steps_of(folder, detector)
    (search,) = (s for s in steps if s.kind == "search")
    output, suffix = Path(search.writes).parents[1], f"_{detector}" if detector else ""
    random_file = output / f"random_architecture{suffix}.json"
    (random,) = search.draw(1, RANDOM_SEED)
    write_json(random_file, random.to_json())
    steps, expected = with_random(steps, random_file), {}
    if is_own(folder):
        file = output / "estimate.json"
        expected = estimate(steps, file, only=only_estimate, long=long)
    if not only_estimate:
        seconds = run_steps(steps, expected=expected)
        report(steps, seconds, output, suffix)


def summarise(steps: Mapping[str, Step], seconds: Mapping[str, float]) -> dict[str, Any]:
    """A run's figures, as summary.json has them: AP and AP50 of each network on the test set in
    percent (with the time of its training where these differ), the search's candidates, the seconds
    and the starts by step."""
    summary: dict[str, Any] = {}
    for key, (_, test, training) in NETWORKS.items():
        if test in steps:
            metrics = steps[test].metrics()
            summary[key] = {m: metrics.get(f"bbox/{m}") for m in ("AP", "AP50")}
            if "step4_finetune" in steps:
                summary[key]["seconds"] = seconds[training]
    search = steps["step3_search"]
    _, evaluations = read_ledger(search.folder / "ledger.jsonl", search.space)
    scored = [(e.fitness, e.generation) for e in evaluations if e.fitness is not None]
    first = [fitness for fitness, generation in scored if generation == 0]  # which is random
    summary["search"] = {
        "evaluated": len(evaluations),
        "best_fitness": max(scored)[0],
        "mean_random_fitness": math.fsum(first) / len(first),
    }
    summary["seconds"] = dict(seconds)
    if starts := {name: step.starts for name, step in steps.items() if step.starts > 1}:
        summary["starts"] = starts
    return summary


def summary_table(summary: Mapping[str, Any]) -> str:
    """The summary for a reader, figures rounded."""
    search = summary["search"]
    lines = [
        f"search: {search['evaluated']} architectures, best fitness {search['best_fitness']:.2f}, "
        f"mean of the random ones {search['mean_random_fitness']:.2f}",
        f"{'network':24s}{'AP':>8s}{'AP50':>8s}" + ("  training" if "finetuned" in summary else ""),
    ]
    for key in (k for k in NETWORKS if k in summary):
        ap, ap50, *spent = summary[key].values()
        cells = "".join("    none" if f is None else f"{f:8.2f}" for f in (ap, ap50))
        cells += "".join(f"{s:8.0f} s" for s in spent)
        lines.append(f"{NETWORKS[key][0] + ', test set':24s}{cells}")
    lines.append(f"{'step':24s}{'seconds':>8s}")
    seconds = {**summary["seconds"], "total": sum(summary["seconds"].values())}
    lines += (f"{step:24s}{s:8.0f}" for step, s in seconds.items())
    if starts := summary.get("starts"):
        which = ", ".join(f"{step} {n}" for step, n in starts.items())
        lines.append(f"times added up over starts: {which}")
    return "\n".join(lines)


def report(steps: Sequence[Step], seconds: Mapping[str, float], output: Path, suffix: str) -> None:
    """Write and print the summary, draw some test images, and write the whole folder's report.

    Args:
        seconds: by step.
        output: folder of the summary and the picture; their names end with `suffix`.
    """
    by_name = {s.name: s for s in steps}
    summary = summarise(by_name, seconds)
    summary_file = output / f"summary{suffix}.json"
    write_json(summary_file, summary, indent=1)
    print(summary_table(summary))
    print(f"figures: {summary_file}")
    test, picture = by_name["step5_test"], output / f"test_images{suffix}.png"
    predictions = test.folder / "coco_instances_results.json"
    names = test.cfg.dataloader.test.dataset.names
    made: dict[str, Callable[[], Path]] = {}
    if predictions.exists():
        made["some test images"] = partial(draw_detections, names, predictions, picture)
    made["the report, for a browser"] = partial(write_report, output)
    for what, make in made.items():
        try:
            print(f"{what}: {make()}")
        except Exception as e:  # the figures are there: whatever it is, it is no failure of the run
            print(f"{what}: not written ({e}); the same command tries again")


@command("run_steps.py", interrupted=STOPPED, sigterm=True)
def main(argv: Sequence[str]) -> None:
    own = sorted(folder.name for folder in (ROOT / "configs").iterdir() if is_own(folder))
    parser = new_parser(__doc__)
    parser.add_argument("dataset", choices=["demo", "bccd", *own])
    parser.add_argument("--detector", choices=["fpn", "retinanet"], help="for bccd")
    parser.add_argument("--estimate", action="store_true", help="own data: show the times and end")
    parser.add_argument("--long", action="store_true", help="own data: run for more than a day")
    args = parser.parse_args(argv)
    if args.dataset == "bccd" and args.detector is None:
        parser.error("bccd needs --detector fpn or --detector retinanet")
    if (args.estimate or args.long) and args.dataset not in own:
        parser.error("--estimate and --long are for own data: custom, or a copy of configs/custom")
    run(args.dataset, args.detector, only_estimate=args.estimate, long=args.long)


if __name__ == "__main__":
    main()
