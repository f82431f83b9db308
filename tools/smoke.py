#!/usr/bin/env python3
"""Run every benchmark, tool and project script at a size of seconds: make smoke.

    python tools/smoke.py                 # all
    python tools/smoke.py bm_space gpu    # those whose name has one of these words

They run in a copy of their folders with small made data sets, so that nothing is left behind and
nothing has to be there. A script that is in none of the two tables below is an error, and so is a
benchmark whose last line is not its JSON object (benchmarks/README.md).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from tiny_steps import write_tiny_steps

from detnas_d2.commands import add_debug, ending

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))  # noqa: E402  where made_data lies
from made_data import write_coco  # noqa: E402

RUN = {
    "benchmarks/gpu.sh": "--tiny gpu",
    "benchmarks/bm_candidate.py": "--head fpn --amp --rounds 1 --iterations 2",
    "benchmarks/bm_supernet_step.py": "--rounds 1 --only detector",
    "benchmarks/bm_workers.py": "--rounds 1 --candidates 1",
    "benchmarks/bm_cluster.py": "--workers 4 --candidates 200 --mean 0.02",
    "projects/DetNAS/random_baseline.py": (
        "configs/tiny/baseline_search.py configs/tiny/baseline_test.py --count 2"
    ),
    "benchmarks/bm_latency.py": "--rounds 2 --input-size 64 64",
    "benchmarks/bm_dataset.py": ("--images 200 --boxes 1500 --names 2000 --classes 10 --rounds 1"),
    "benchmarks/bm_loader.py": "--images 8 --rounds 1 --pause 0.1",
    "benchmarks/bm_space.py": "--rounds 1 --recorded 1000",
    "tools/install_detectron2.py": "",
}
"""Arguments of what is run here; those that take longest come first."""
ELSEWHERE = {
    "benchmarks/gpu_parts.py": "benchmarks/gpu.sh",
    "projects/DetNAS/paper/convert_weights.py": "tests/projects/test_released.py",
    "projects/DetNAS/reproduce.py": "tests/integration/test_reproduce.py",
    "projects/DetNAS/train_net.py": "tests/integration/test_yacs.py",
    "tools/chaos.py": "tests/integration/test_chaos.py",
    "tools/dry_run.py": "Makefile",
    "tools/run_steps.py": "tests/integration/test_custom.py",
    "tools/smoke.py": "Makefile",
}
"""What runs the others, all of it a part of `make test`."""
FOLDERS = ("benchmarks", "projects", "tools")
BASELINE = {
    "baseline_search": """from .step3 import dataloader, model, search, train

search.retrain = ["configs/tiny/baseline_train.py"]
""",
    "baseline_train": """from .step4 import dataloader, lr_multiplier, model, optimizer, train

train.init_checkpoint = ""
train.output_dir = "output/baseline_train"
""",
    "baseline_test": """from .baseline_train import dataloader, model, train

train.init_checkpoint = "output/baseline_train/model_final.pth"
train.output_dir = "output/baseline_test"
""",
}
"""Configs for random_baseline.py, beside those of tiny_steps.py: a network from scratch."""
TOO_LONG = 300.0  # seconds of one script, which takes 30 on an idle machine
LINES = 15  # of a failure that are shown


def scripts(root: Path) -> list[str]:
    """The programs in the three folders: Python files with a main block, shell scripts."""
    files = [file for folder in FOLDERS for file in sorted((root / folder).rglob("*.*"))]
    return [
        str(file.relative_to(root))
        for file in files
        if file.suffix == ".sh"
        or (file.suffix == ".py" and re.search(r'(?m)^if __name__ == "__main__"', file.read_text()))
    ]


def forgotten(root: Path, run: Mapping[str, str], elsewhere: Mapping[str, str]) -> list[str]:
    """What is wrong with the two tables."""
    found, known = set(scripts(root)), {*run, *elsewhere}
    wrong = [f"{s}: nothing runs it; add it to RUN or ELSEWHERE" for s in sorted(found - known)]
    wrong += [f"{s}: there is no such script" for s in sorted(known - found)]
    for script, runner in elsewhere.items():
        file = root / runner
        if not file.is_file() or Path(script).name not in file.read_text():
            wrong.append(f"{script}: {runner}, which is to run it, does not name it")
    return wrong


def broken_contract(script: str, output: str) -> str:
    """What is wrong with the last line of a benchmark; "" if nothing is, or for other scripts."""
    match = re.fullmatch(r"benchmarks/bm_(\w+)\.py", script)
    if not match:
        return ""
    last = (output.splitlines() or [""])[-1]
    try:
        line = json.loads(last, parse_constant=_refuse)
    except ValueError as error:
        return f"its last line is no JSON object ({error})"
    if not isinstance(line, dict) or line.get("name") != match[1]:
        return f"its last line is not the JSON object of {match[1]!r}"
    lacking = [key for key in ("versions", "machine") if not line.get(key)]
    if lacking or not set(line) - {"name", "versions", "machine"}:
        return f"its last line lacks {', '.join(lacking) or 'figures'}"
    return ""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def write_copy(folder: Path) -> None:
    """The scripts and configs, and the small data sets that they read."""
    write_tiny_steps(folder)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "configs" / "common").unlink()  # tiny_steps.py's link
    shutil.copytree(ROOT / "configs", folder / "configs", dirs_exist_ok=True)
    for name in ("train_net.py", "search_net.py", "setup.cfg"):
        shutil.copy(ROOT / name, folder)
    for name, text in BASELINE.items():
        (folder / "configs" / "tiny" / f"{name}.py").write_text(text)
    bccd = folder / "datasets" / "bccd"
    for seed, (split, count) in enumerate({"train": 6, "val": 4, "test": 4}.items()):
        file = bccd / "annotations" / f"instances_{split}.json"
        names = ("RBC", "WBC", "Platelets")
        write_coco(file, bccd / "JPEGImages", count, (120, 160), names, seed)


class Job:
    """A script that runs, with all that it starts a process group."""

    def __init__(self, script: str, arguments: str, folder: Path) -> None:
        self.script = script
        self._start = time.monotonic()
        self._files = [folder / f"{script.replace('/', '_')}.{end}" for end in ("out", "err")]
        program = [] if script.endswith(".sh") else [sys.executable]
        with open(self._files[0], "wb") as output, open(self._files[1], "wb") as errors:
            self._process = subprocess.Popen(
                [*program, str(folder / script), *arguments.split()],
                cwd=folder,
                env={
                    **os.environ,
                    "DETECTRON2_DATASETS": str(folder / "datasets"),
                    "OMP_NUM_THREADS": "1",
                    "PYTHON": sys.executable,
                    "PYTHONPATH": os.pathsep.join(
                        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
                    ),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self._start

    def problem(self) -> str | None:
        """None while it runs, then what was wrong, "" for nothing."""
        status = self._process.poll()
        if status is None:
            return None if self.seconds < TOO_LONG else f"it took more than {TOO_LONG:.0f} s"
        if status:
            return f"it ended with status {status}"
        return broken_contract(self.script, self._files[0].read_text(errors="replace"))

    def end(self) -> None:
        """Kill it and what it has left running."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:  # as it should be
            return
        self._process.wait()

    def last_lines(self) -> list[str]:
        """Of what it printed; its errors come last."""
        text = "".join(file.read_text(errors="replace") for file in self._files)
        return text.splitlines()[-LINES:]


def run(waiting: Sequence[tuple[str, str]], folder: Path, jobs: int) -> list[str]:
    """Run scripts with their arguments, so many at a time; returns those that failed."""
    left, running, failed = list(waiting), list[Job](), list[str]()
    try:
        while left or running:
            while left and len(running) < jobs:
                running.append(Job(*left.pop(0), folder))
            time.sleep(0.05)
            for job in list(running):
                if (problem := job.problem()) is None:
                    continue
                running.remove(job)
                seconds = job.seconds
                job.end()
                print(f"{job.script}: {seconds:.0f} s", flush=True)
                if problem:
                    failed.append(job.script)
                    lines = [f"FAILED: {problem}", *job.last_lines()]
                    print(*(f"    {line}" for line in lines), sep="\n")
    finally:
        for job in running:
            job.end()
    return failed


def main(words: Sequence[str], jobs: int) -> None:
    start = time.monotonic()
    if wrong := forgotten(ROOT, RUN, ELSEWHERE):
        sys.exit("\n".join(["smoke.py: the tables are not those of the scripts:", *wrong]))
    wanted = [item for item in RUN.items() if not words or any(w in item[0] for w in words)]
    with tempfile.TemporaryDirectory(prefix="smoke_") as name:
        write_copy(Path(name))
        failed = run(wanted, Path(name), jobs)
    print(f"{len(wanted) - len(failed)} of {len(wanted)} ran, in {time.monotonic() - start:.0f} s")
    if failed:
        sys.exit(f"smoke.py: {len(failed)} failed: {', '.join(failed)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--jobs", type=int, default=2, help="scripts at a time (default: 2)")
    args = add_debug(parser).parse_args()
    with ending("smoke.py", debug=args.debug):
        main(args.words, args.jobs)
