#!/usr/bin/env python3
"""Run all steps of DetNAS on one data set, each going on where it was stopped.

    python tools/run_steps.py demo                        # real handwriting over photographs
    python tools/run_steps.py bccd --detector fpn         # real blood-cell images, COCO form
    python tools/run_steps.py bccd --detector retinanet   # the same, VOC form

Supernet (classification, detection), search, then the best architecture and a random one
retrained alike and tested. A finished step leaves done.json in its folder and is not run again.
Writes output/NAME/summary.json (with --detector: output/NAME/summary_DETECTOR.json).
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from detnas_d2.data import DigitsParameters, datasets_root, write_bccd_boxes, write_digits
from detnas_d2.driver import build_limit
from detnas_d2.engine import ConfigError, backbone_node, load_config
from detnas_d2.engine.steps import Step, run_script, run_steps
from detnas_d2.files import write_atomically
from detnas_d2.report import draw_detections, summarise, summary_table
from detnas_d2.search.sampling import draw_random
from detnas_d2.space import SearchSpace, resolve_space

ROOT = Path(__file__).resolve().parent.parent
DEMO = DigitsParameters(classes=(0, 1, 2, 3, 4), images=(300, 60, 100), digits_per_image=(1, 3))
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
    space = resolve_space(backbone_node(cfg).space)
    _, limit = build_limit(cfg, space)
    (architecture,) = draw_random(space, 1, limit, RANDOM_SEED)
    write_atomically(path, json.dumps(architecture.to_json()) + "\n")
    return space


def main(dataset: str, detector: str | None) -> None:
    os.chdir(ROOT)
    if dataset == "demo":
        write_digits(datasets_root() / "digits", DEMO)
    else:
        write_bccd_boxes()
    suffix = f"_{detector}" if detector else ""
    output = Path("output") / dataset
    random_file = output / f"random_architecture{suffix}.json"
    space = write_random(config_file(dataset, "step3_search", detector), random_file)
    steps = steps_of(dataset, detector, random_file)
    seconds = run_steps(steps)

    folders = {s.name: s.folder for s in steps}
    tests = {
        "test": folders["step5_test"] / "evaluation.json",
        "random": folders["step5_test_random"] / "evaluation.json",
    }
    summary = summarise(folders["step3_search"], space, tests, seconds)
    summary_file = output / f"summary{suffix}.json"
    write_atomically(summary_file, json.dumps(summary, indent=1) + "\n")
    print(summary_table(summary))
    predictions = folders["step5_test"] / "coco_instances_results.json"
    if predictions.exists():
        picture = output / f"test_images{suffix}.png"
        name = steps[5].cfg.dataloader.test.dataset.names
        draw_detections(name, str(predictions), str(picture))
        print(f"some test images: {picture}")
    print(f"figures: {summary_file}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["demo", "bccd"])
    parser.add_argument("--detector", choices=["fpn", "retinanet"], help="for bccd")
    args = parser.parse_args()
    if args.dataset == "bccd" and args.detector is None:
        parser.error("bccd needs --detector fpn or --detector retinanet")
    run_script("run_steps.py", lambda: main(args.dataset, args.detector))
