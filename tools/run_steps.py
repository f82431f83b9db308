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
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf

from detnas_d2.data import DigitsParameters, datasets_root, write_bccd_boxes, write_digits
from detnas_d2.engine import ConfigError, backbone_key, load_config
from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.errors import DetNASError
from detnas_d2.files import write_atomically
from detnas_d2.report import draw_detections, summarise, summary_table
from detnas_d2.search import FlopsLimit
from detnas_d2.search.sampling import draw_unseen
from detnas_d2.space import CostTable, SearchSpace, resolve_space

ROOT = Path(__file__).resolve().parent.parent
PROGRESS = re.compile(r"eta: |\d+/\d+, generation|Inference done|left out|Traceback|Error")
DEMO = DigitsParameters(classes=(0, 1, 2, 3, 4), images=(300, 60, 100), digits_per_image=(1, 3))
RANDOM_SEED = 1  # of the random architecture that is retrained for comparison


@dataclass(frozen=True)
class Step:
    """One call of train_net.py or search_net.py."""

    name: str
    script: str
    config: Path
    overrides: tuple[str, ...] = ()
    flags: tuple[str, ...] = ("--resume",)

    @cached_property
    def cfg(self) -> DictConfig:
        return load_config(str(self.config), self.overrides)

    @property
    def folder(self) -> Path:
        return Path(self.cfg.train.output_dir)

    @property
    def command(self) -> list[str]:
        script = [sys.executable, str(ROOT / self.script), "--config-file", str(self.config)]
        return [*script, *self.flags, *self.overrides]


class StepError(DetNASError):
    """A step that failed."""


def config_file(dataset: str, step: str, detector: str | None) -> Path:
    """The config of a step; steps that do not depend on the detector have no suffix."""
    for name in (f"{step}_{detector}.py", f"{step}.py"):
        path = ROOT / "configs" / dataset / name
        if path.is_file():
            return path
    raise ConfigError(f"There is no config configs/{dataset}/{step}.py (detector {detector}).")


def steps_of(dataset: str, detector: str | None, random_file: Path) -> list[Step]:
    """All steps in their order."""

    def step(name: str, script: str, **options: tuple[str, ...]) -> Step:
        return Step(name, script, config_file(dataset, name, detector), **options)

    steps = [
        step("step1_supernet", "train_net.py"),
        step("step2_supernet", "train_net.py"),
        step("step3_search", "search_net.py"),
        step("step4_classification", "train_net.py"),
        step("step4_detection", "train_net.py"),
        step("step5_test", "train_net.py", flags=("--eval-only",)),
    ]
    return steps + [as_random(s, random_file) for s in steps[3:]]


def as_random(step: Step, random_file: Path) -> Step:
    """The same step for the random architecture, in a folder of its own."""
    cfg = step.cfg
    overrides = [
        f"{backbone_key(cfg)}.architecture={random_file}",
        f"train.output_dir={cfg.train.output_dir}_random",
    ]
    if cfg.train.init_checkpoint:
        folder, _, name = cfg.train.init_checkpoint.rpartition("/")
        overrides.append(f"train.init_checkpoint={folder}_random/{name}")
    return Step(f"{step.name}_random", step.script, step.config, tuple(overrides), step.flags)


def run(step: Step, number: str) -> float:
    """Run a step unless it is done; returns its seconds."""
    folder = step.folder
    done_file = folder / "done.json"
    now = config_hash(step.cfg, sorted(step.cfg))
    if done_file.exists():
        done = json.loads(done_file.read_text())
        if done["config"] != now:
            raise ConfigError(
                f"{folder} holds the results of another config of {step.name}. Remove the folder "
                "(and those of the steps after it) to run the step anew."
            )
        print(f"[{number}] {step.name}: done before, in {done['seconds']:.0f} s", flush=True)
        return float(done["seconds"])
    print(f"[{number}] {step.name}: {' '.join(step.command[1:])}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    status, last_lines = call(step.command, folder / "console.txt")
    if status:
        raise StepError(
            f"{step.name} ended with status {status}; its output is in {folder / 'console.txt'}. "
            "Run the same command again to go on from there. Its last lines:\n"
            + "".join(last_lines)
        )
    seconds = time.monotonic() - start
    done = {"config": now, "seconds": round(seconds, 1)}
    write_atomically(done_file, json.dumps(done) + "\n")
    return seconds


def call(command: list[str], console_file: Path) -> tuple[int, list[str]]:
    """Run a command, with its output in a file and its progress shown.

    The child ends with this process, however that ends: it would otherwise go on in the folder
    that the next run takes up.

    Returns:
        exit status and the last lines of the output.
    """
    last_lines: deque[str] = deque(maxlen=15)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        preexec_fn=end_with_parent if sys.platform == "linux" else None,
    )
    assert process.stdout is not None
    try:
        with open(console_file, "a") as console:
            for line in process.stdout:
                console.write(line)
                last_lines.append(line)
                if PROGRESS.search(line):
                    print(f"    {line.rstrip()[:160]}", flush=True)
    except BaseException:  # Ctrl-C, or SIGTERM by way of SystemExit
        process.terminate()
        raise
    finally:
        process.wait()
    return process.returncode, list(last_lines)


def end_with_parent() -> None:
    """In the child: ask Linux for SIGTERM when the parent is gone, be it by kill -9."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def draw_random(search_config: Path, path: Path) -> SearchSpace:
    """Write a random architecture under the search's limit; returns the space."""
    cfg = load_config(str(search_config))
    space = resolve_space(OmegaConf.select(cfg, backbone_key(cfg)).space)
    limit = FlopsLimit(CostTable(space, tuple(cfg.search.input_size)), cfg.search.flops_limit)
    limit.witness()
    (architecture,) = draw_unseen(space, 1, set(), limit, np.random.default_rng(RANDOM_SEED))
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
    space = draw_random(config_file(dataset, "step3_search", detector), random_file)
    steps = steps_of(dataset, detector, random_file)
    seconds = {s.name: run(s, f"{i}/{len(steps)}") for i, s in enumerate(steps, 1)}

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
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        main(args.dataset, args.detector)
    except DetNASError as e:
        sys.exit(f"run_steps.py: {e}")
    except KeyboardInterrupt:
        sys.exit("run_steps.py: stopped; the same command goes on from there.")
