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

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path

from detectron2.config import instantiate
from own_steps import NETWORKS, OwnRun, comparison

from detnas_d2.commands import add_debug
from detnas_d2.data import DEMO_DIGITS, datasets_root, write_bccd_boxes, write_digits
from detnas_d2.driver import build_limit
from detnas_d2.engine import ConfigError, backbone_node, load_config
from detnas_d2.engine.steps import Step, run_script, run_steps
from detnas_d2.files import write_atomically
from detnas_d2.report import draw_detections, summarise, summary_table, write_report
from detnas_d2.search.sampling import draw_random
from detnas_d2.space import SearchSpace, resolve_space

ROOT = Path(__file__).resolve().parent.parent
RANDOM_SEED = 1  # of the random architecture that is retrained for comparison


def config_file(dataset: str, step: str, detector: str | None) -> Path:
    """The config of a step; steps that do not depend on the detector have no suffix."""
    for name in (f"{step}_{detector}.py", f"{step}.py"):
        path = ROOT / "configs" / dataset / name
        if path.is_file():
            return path
    raise ConfigError(f"There is no config configs/{dataset}/{step}.py (detector {detector}).")


def steps_of(dataset: str, detector: str | None, random_file: Path) -> list[Step]:
    """All steps in their order."""
    kinds = {
        "step1_supernet": "train",
        "step2_supernet": "train",
        "step3_search": "search",
        "step4_classification": "train",
        "step4_detection": "train",
        "step5_test": "test",
    }
    steps = [
        Step(name, kind, config_file(dataset, name, detector), ROOT) for name, kind in kinds.items()
    ]
    return steps + [s.for_architecture(str(random_file), "random") for s in steps[3:]]


def write_random(search_config: Path, path: Path) -> SearchSpace:
    """Write a random architecture under the search's limit; returns the space."""
    cfg = load_config(str(search_config))
    space = resolve_space(instantiate(backbone_node(cfg).space))
    _, limit = build_limit(cfg, space)
    (architecture,) = draw_random(space, 1, limit, RANDOM_SEED)
    write_atomically(path, json.dumps(architecture.to_json()) + "\n")
    return space


def main(dataset: str, detector: str | None) -> None:
    os.chdir(ROOT)
    if dataset == "demo":
        write_digits(datasets_root() / "digits", DEMO_DIGITS)
    else:
        write_bccd_boxes()
    suffix = f"_{detector}" if detector else ""
    output = Path("output") / dataset
    random_file = output / f"random_architecture{suffix}.json"
    space = write_random(config_file(dataset, "step3_search", detector), random_file)
    steps = steps_of(dataset, detector, random_file)
    seconds = run_steps(steps)
    tests = {"test": "step5_test", "random": "step5_test_random"}
    report(steps, space, tests, seconds, output, suffix)


def main_own(dataset: str, *, only_estimate: bool, long: bool) -> None:
    """The same for own data.

    Args:
        dataset: a folder of configs with settings.py.
        only_estimate: end after the table of the times.
        long: go on even if all takes more than a day.
    """
    os.chdir(ROOT)
    run = OwnRun(ROOT / "configs" / dataset, ROOT)
    search_config = run.folder / "step3_search.py"
    load_config(str(search_config))  # settings that can't be used end here
    random_file = run.output / "random_architecture.json"
    space = write_random(search_config, random_file)
    steps = run.steps(random_file)
    predicted = run.estimate(steps, long=long, only=only_estimate)
    if only_estimate:
        return
    seconds = run_steps(steps, expected=predicted)
    tests = {key: test for key, (test, _) in NETWORKS.items()}
    trained = {key: training for key, (_, training) in NETWORKS.items()}
    report(steps, space, tests, seconds, run.output, trained=trained)
    print(comparison(predicted, seconds))


def report(
    steps: list[Step],
    space: SearchSpace,
    tests: dict[str, str],
    seconds: dict[str, float],
    output: Path,
    suffix: str = "",
    trained: Mapping[str, str] | None = None,
) -> None:
    """Write and print the summary, draw some test images, and write the whole folder's report.

    Args:
        tests: name of a network -> the step that tests it.
        seconds: by step.
        output: folder of the summary and the picture; their names end with `suffix`.
        trained: name of a network -> the step that trains it, whose time stands beside its figures.
    """
    folders = {s.name: s.folder for s in steps}
    files = {name: folders[step] / "evaluation.json" for name, step in tests.items()}
    summary = summarise(folders["step3_search"], space, files, seconds)
    for name, step in (trained or {}).items():
        summary[name]["seconds"] = seconds[step]
    starts = {s.name: s.starts for s in steps if s.starts > 1}
    if starts:
        summary["starts"] = starts
    summary_file = output / f"summary{suffix}.json"
    write_atomically(summary_file, json.dumps(summary, indent=1) + "\n")
    print(summary_table(summary))
    if starts:
        print("times added up over starts: " + ", ".join(f"{s} {n}" for s, n in starts.items()))
    predictions = folders["step5_test"] / "coco_instances_results.json"
    if predictions.exists():
        picture = output / f"test_images{suffix}.png"
        (test,) = (s for s in steps if s.name == "step5_test")
        name = test.cfg.dataloader.test.dataset.names
        draw_detections(name, str(predictions), str(picture))
        print(f"some test images: {picture}")
    print(f"figures: {summary_file}")
    try:
        page = write_report(output)
        print(f"the report, for a browser: {page}")
    except Exception as e:  # the figures are there: whatever it is, it is no failure of the run
        print(f"no report was written ({e}); to try again: python -m detnas_d2.report {output}")


def own_folders() -> list[str]:
    """Folders of configs with a settings.py: custom and copies of it."""
    return sorted(file.parent.name for file in (ROOT / "configs").glob("*/settings.py"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["demo", "bccd", *own_folders()])
    parser.add_argument("--detector", choices=["fpn", "retinanet"], help="for bccd")
    parser.add_argument("--estimate", action="store_true", help="own data: show the times and end")
    parser.add_argument("--long", action="store_true", help="own data: run for more than a day")
    args = add_debug(parser).parse_args()
    if args.dataset == "bccd" and args.detector is None:
        parser.error("bccd needs --detector fpn or --detector retinanet")
    own = args.dataset in own_folders()
    if (args.estimate or args.long) and not own:
        parser.error("--estimate and --long are for own data: custom, or a copy of configs/custom")
    run_script(
        "run_steps.py",
        lambda: (
            main_own(args.dataset, only_estimate=args.estimate, long=args.long)
            if own
            else main(args.dataset, args.detector)
        ),
        debug=args.debug,
    )
