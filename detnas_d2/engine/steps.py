"""Steps of DetNAS as calls of train_net.py and search_net.py, each run once and gone on with."""

from __future__ import annotations

import copy
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ..commands import ending
from ..errors import DetNASError
from ..files import parse_json, write_atomically
from ..trust import called_by, read_config
from .config import ConfigError, apply_overrides, backbone_key, backbone_node, load_config
from .fingerprint import config_differences, config_hash, file_hash
from .step_time import StepTime

DONE_FILE = "done.json"
PROGRESS = re.compile(r"eta: |\d+/\d+, generation|Inference done|left out|Traceback|Error")
_WRITES = {
    "search": "best_architecture.json",
    "test": "evaluation.json",
    "train": "model_final.pth",
}


class StepError(DetNASError):
    """A step that failed."""


@dataclass(frozen=True)
class Step:
    """One call of train_net.py or search_net.py.

    Args:
        name: what it is called, unique among the steps of a run.
        kind: "train", "search" or "test" (``train_net.py --eval-only``).
        config: a LazyConfig file, with overrides.
        root: the folder of the two scripts; output folders are relative to it.
        gpus: ``--num-gpus`` of a training or test.
    """

    name: str
    kind: str
    config: Path
    root: Path
    overrides: tuple[str, ...] = ()
    gpus: int = 0

    @cached_property
    def cfg(self) -> DictConfig:
        return apply_overrides(copy.deepcopy(_load(self.config)), self.overrides)

    @property
    def folder(self) -> Path:
        return self.root / self.cfg.train.output_dir

    @cached_property
    def writes(self) -> str:
        """The file that others read, as their configs name it."""
        return f"{self.cfg.train.output_dir}/{_WRITES[self.kind]}"

    @cached_property
    def reads(self) -> list[str]:
        """Checkpoint and architecture files, as the config names them."""
        architecture = backbone_node(self.cfg).get("architecture")
        files = [self.cfg.train.init_checkpoint, architecture]
        for key in ("algorithm.architectures", "initial", "initial_ledger"):
            value = OmegaConf.select(self.cfg, f"search.{key}") or []
            files += [value] if isinstance(value, str) else value
        return [f for f in files if isinstance(f, str) and f.endswith((".pth", ".json", ".jsonl"))]

    @property
    def command(self) -> list[str]:
        script = self.root / ("search_net.py" if self.kind == "search" else "train_net.py")
        flag = "--eval-only" if self.kind == "test" else "--resume"
        options = ["--config-file", str(self.config), flag]
        if self.gpus and self.kind != "search":
            options += ["--num-gpus", str(self.gpus)]
        return [sys.executable, str(script), *options, *self.overrides]

    def for_architecture(self, architecture: str, suffix: str, *overrides: str) -> Step:
        """The same step of another network, with `suffix` at the folders it reads and writes.

        Args:
            architecture: in any form that ``Architecture.parse`` takes.
        """
        cfg = self.cfg
        more = [
            f"{backbone_key(cfg)}.architecture={architecture}",
            f"train.output_dir={cfg.train.output_dir}_{suffix}",
        ]
        if cfg.train.init_checkpoint:
            folder, _, name = cfg.train.init_checkpoint.rpartition("/")
            more.append(f"train.init_checkpoint={folder}_{suffix}/{name}")
        return replace(
            self,
            name=f"{self.name}_{suffix}",
            overrides=(*self.overrides, *more, *overrides),
        )

    def seconds(self) -> float | None:
        """How long it took, over all its starts; None if it is still to be run.

        Raises:
            ConfigError: the folder holds the results of another config, or of other input; or
            done.json is damaged.
        """
        done = self._done()
        if done is None:
            return None
        now = self.made_of()
        for key, what in (("config", "config"), ("reads", "checkpoint or architecture")):
            if done.get(key) != now[key]:
                how = self._differences(str(done.get("config"))) if key == "config" else ""
                own = (self.config.parent / "settings.py").is_file()
                raise ConfigError(
                    f"{self.folder} holds the results of another {what} of {self.name}"
                    f"{how}. Remove the folder (and those of the steps after it) to run the "
                    f"step anew{', or choose another name in settings.py' if own else ''}."
                )
        return done["seconds"]

    @property
    def starts(self) -> int:
        """How often it was started until it was done, as far as that is known."""
        return (self._done() or {"starts": 1})["starts"]

    def _done(self) -> dict[str, Any] | None:
        file = self.folder / DONE_FILE
        try:
            done = parse_json(file.read_text())
            starts = int(done.get("starts", 1))
            return {**done, "seconds": float(done["seconds"]), "starts": starts}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as e:
            raise ConfigError(
                f"{file} is damaged ({type(e).__name__}: {e}); remove it to run the step anew."
            ) from e

    def _differences(self, hashed: str) -> str:
        """From the config with that hash, which the results are of, as far as it is there."""
        try:
            keys = sorted(self.cfg)
            former = read_config(str(self.folder / "config.yaml"), also=called_by(self.cfg))
            if config_hash(former, keys) != hashed:
                return ""
            found = config_differences(self.cfg, former, keys)
        except Exception:  # of another version, or damaged: it only explains
            return ""
        shown = [f"{key} (was {then}, is {now})" for key, (now, then) in found.items()]
        more = f" and {len(shown) - 5} more keys" if len(shown) > 5 else ""
        return f": {', '.join(shown[:5])}{more}" if shown else ""

    def made_of(self) -> dict[str, Any]:
        """Hashes of the config and of the files that the step reads, as far as they are there."""
        files = {f: self.root / f for f in self.reads}
        return {
            "config": config_hash(self.cfg, sorted(self.cfg)),
            "reads": {f: file_hash(path) for f, path in files.items() if path.is_file()},
        }


def run_script(script: str, main: Callable[[], None], *, debug: bool = False) -> None:
    """Run the `main` of a script that runs steps: SIGTERM stops them, an error is one message.

    Args:
        script: the name before messages.
        main: what it does.
        debug: show the traceback of an error.
    """
    former = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        with ending(
            script, debug=debug, interrupted="stopped; the same command goes on from there."
        ):
            main()
    finally:
        signal.signal(signal.SIGTERM, former)


def _print(line: str) -> None:
    print(line, flush=True)


@cache  # many steps share a file
def _load(config: Path) -> DictConfig:
    return load_config(str(config))


def run_steps(
    steps: Sequence[Step],
    show: Callable[[str], None] = _print,
    *,
    jobs: int = 1,
    expected: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Run steps, each after those whose files it reads, and skip what is done.

    A step that was stopped half-way goes on from there. The output of each goes to console.txt in
    its folder; with one job its lines of progress are shown too.

    Args:
        steps: in the order of their importance; names and output folders are unique.
        show: takes the lines for the user.
        jobs: how many run at a time; several share the CPU's cores between them.
        expected: seconds by name, for the time left.

    Returns:
        seconds by name, over all starts of a step.

    Raises:
        StepError: one failed; those that run beside it are stopped. Or they wait for each other.
        ConfigError: a folder holds the results of another config or of other input.
    """
    seconds = {s.name: took for s in steps if (took := s.seconds()) is not None}
    waiting = [s for s in steps if s.name not in seconds]
    if seconds:
        show(f"{len(seconds)} of {len(steps)} steps were done before")
    running: list[_Running] = []
    try:
        while waiting or running:
            for step in _ready(waiting, running)[: jobs - len(running)]:
                waiting.remove(step)
                show(f"{step.name}: {' '.join(step.command[1:])}")
                running.append(_Running(step, jobs))
            if not running:
                names = ", ".join(s.name for s in waiting)
                raise StepError(f"each of these steps reads a file that another writes: {names}")
            time.sleep(0.1)
            for job in list(running):
                if jobs == 1:
                    job.show_progress(show)
                job.time.keep()
                if job.process.poll() is not None:
                    took = seconds[job.step.name] = job.finish()
                    running.remove(job)
                    starts = f" in {job.time.starts} starts" if job.time.starts > 1 else ""
                    left = _time_left(steps, seconds, jobs, expected or {})
                    show(
                        f"[{len(seconds)}/{len(steps)}] {job.step.name}: {took:.0f} s{starts}{left}"
                    )
    finally:
        for job in running:  # a failure, Ctrl-C, or SIGTERM by way of SystemExit
            job.process.terminate()
        for job in running:
            job.process.wait()
            job.time.keep(at_once=True)
    return seconds


def _ready(waiting: list[Step], running: list[_Running]) -> list[Step]:
    """Those that read no file that is still to be written."""
    to_come = {s.writes for s in waiting} | {job.step.writes for job in running}
    return [s for s in waiting if to_come.isdisjoint(s.reads)]


def _time_left(
    steps: Sequence[Step],
    seconds: Mapping[str, float],
    jobs: int,
    expected: Mapping[str, float],
) -> str:
    """By the mean of the steps with the same config file, where one has run; else as expected."""
    known: dict[Path, list[float]] = {}
    for s in steps:
        if s.name in seconds:
            known.setdefault(s.config, []).append(seconds[s.name])
    left = [s for s in steps if s.name not in seconds]
    times = [
        fmean(known[s.config]) if s.config in known else expected[s.name]
        for s in left
        if s.config in known or s.name in expected
    ]
    unknown = len(left) - len(times)
    parts = []
    if times:
        minutes = round(sum(times) / jobs / 60)
        parts.append(f"about {minutes} min left" if minutes else "less than a minute left")
    if unknown:
        parts.append(f"{unknown} step{'s' * (unknown > 1)} of unknown length to come")
    return "; " + " and ".join(parts) if parts else ""


class _Running:
    """A step's process, with its output in console.txt."""

    def __init__(self, step: Step, jobs: int) -> None:
        self.step = step
        step.folder.mkdir(parents=True, exist_ok=True)
        self.console = step.folder / "console.txt"
        env = dict(os.environ)
        if jobs > 1:
            env["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))
        self.time = StepTime(step.folder)
        with open(self.console, "a") as console:
            self.position = console.tell()
            self.process = subprocess.Popen(
                step.command,
                stdout=console,
                stderr=subprocess.STDOUT,
                cwd=step.root,
                env=env,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def show_progress(self, show: Callable[[str], None]) -> None:
        with open(self.console, "rb") as console:
            console.seek(self.position)
            whole, newline, _ = console.read().rpartition(b"\n")
        self.position += len(whole + newline)
        for line in whole.decode(errors="replace").splitlines():
            if PROGRESS.search(line):
                show(f"    {line.rstrip()[:160]}")

    def finish(self) -> float:
        """Mark the step as done; returns its seconds."""
        step, status = self.step, self.process.returncode
        seconds = self.time.seconds
        if status:
            last = self.console.read_text(errors="replace").splitlines()[-15:]
            raise StepError(
                f"{step.name} ended with status {status}; its output is in {self.console}. Run "
                "the same command again to go on from there. Its last lines:\n" + "\n".join(last)
            )
        done = {**step.made_of(), "seconds": seconds, "starts": self.time.starts}
        write_atomically(str(step.folder / DONE_FILE), json.dumps(done) + "\n")
        self.time.done()
        return seconds


def _end_with_parent() -> None:
    """In the child: ask Linux for SIGTERM when the parent is gone, be it by kill -9.

    It would otherwise go on in the folder that the next run takes up.
    """
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
