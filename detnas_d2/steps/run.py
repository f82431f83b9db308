"""Runs steps, each once, after those whose files it reads, and goes on where it was stopped."""

from __future__ import annotations

import ctypes
import functools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from ..errors import DetNASError
from ..files import write_json
from .step import Step

PROGRESS = re.compile(r"eta: |\d+/\d+, generation|Inference done|left out|Traceback|Error")
STOPPED = "stopped; the same command goes on from there."
say = functools.partial(print, flush=True)
PERIOD = 10.0  # seconds between two notes of a step's time: what a kill -9 can lose


class StepError(DetNASError):
    """A step that failed."""


def run_steps(
    steps: Sequence[Step], *, jobs: int = 1, expected: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Run steps, each after those whose files it reads, and skip what is done.

    A step that was stopped half-way goes on from there. The output of each goes to console.txt in
    its folder; with one job its lines of progress are shown too.

    Args:
        steps: in the order of their importance; their names are unique.
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
        say(f"{len(seconds)} of {len(steps)} steps were done before")
    running: list[_Running] = []
    try:
        while waiting or running:
            for step in ready(waiting, [job.step for job in running])[: jobs - len(running)]:
                waiting.remove(step)
                say(f"{step.name}: {' '.join(step.command[1:])}")
                running.append(_Running(step, jobs))
            if not running:
                names = ", ".join(s.name for s in waiting)
                raise StepError(f"each of these steps reads a file that another writes: {names}")
            time.sleep(0.1)
            for job in list(running):
                if jobs == 1:
                    job.show_progress()
                job.keep_time()
                if job.process.poll() is not None:
                    took = seconds[job.step.name] = job.finish()
                    running.remove(job)
                    starts = f" in {job.starts} starts" if job.starts > 1 else ""
                    left = _time_left(steps, seconds, jobs, expected or {})
                    done = f"[{len(seconds)}/{len(steps)}] {job.step.name}"
                    say(f"{done}: {took:.0f} s{starts}{left}")
    finally:
        for job in running:  # a failure, Ctrl-C, or SIGTERM by way of SystemExit
            job.process.terminate()
        for job in running:
            job.process.wait()
            job.keep_time(at_once=True)
    return seconds


def ready(waiting: Sequence[Step], running: Sequence[Step]) -> list[Step]:
    """Those that read no file that is still to be written."""
    to_come = {s.writes for s in (*waiting, *running)}
    return [s for s in waiting if to_come.isdisjoint(s.reads)]


def _time_left(
    steps: Sequence[Step],
    seconds: Mapping[str, float],
    jobs: int,
    expected: Mapping[str, float],
) -> str:
    """By the mean of the steps with the same config file, where one has run; else as expected.
    Tests, of which none may have run, are short and do not count."""
    known: dict[tuple[Path, str], list[float]] = {}
    for s in steps:
        if s.name in seconds:
            known.setdefault((s.config, s.kind), []).append(seconds[s.name])
    left = [s for s in steps if s.name not in seconds and s.kind != "test"]
    times = [fmean(known.get((s.config, s.kind)) or [expected.get(s.name, 0.0)]) for s in left]
    if not left or 0.0 in times:
        return ""
    return f"; about {max(1, round(sum(times) / jobs / 60))} min left"


class _Running:
    """A step's process, with its output in console.txt."""

    def __init__(self, step: Step, jobs: int) -> None:
        self.step = step
        step.folder.mkdir(parents=True, exist_ok=True)
        self.console = step.folder / "console.txt"
        self._before = step.earlier_starts()
        self._begun = self._noted = time.monotonic()
        env = dict(os.environ)
        if jobs > 1:
            env["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))
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

    @property
    def starts(self) -> int:
        return len(self._before) + 1

    def keep_time(self, *, at_once: bool = False) -> None:
        """Note the seconds so far, every `PERIOD` seconds."""
        now = time.monotonic()
        if at_once or now - self._noted >= PERIOD:
            starts = [*self._before, round(now - self._begun, 1)]
            write_json(self.step.starts_file, starts)
            self._noted = now

    def show_progress(self) -> None:
        with open(self.console, "rb") as console:
            console.seek(self.position)
            whole, newline, _ = console.read().rpartition(b"\n")
        self.position += len(whole + newline)
        for line in whole.decode(errors="replace").splitlines():
            if PROGRESS.search(line):
                say(f"    {line.rstrip()[:160]}")

    def finish(self) -> float:
        """Mark the step as done; returns its seconds, over all starts."""
        step, status = self.step, self.process.returncode
        seconds = round(sum(self._before) + time.monotonic() - self._begun, 1)
        if status:
            last = self.console.read_text(errors="replace").splitlines()[-15:]
            raise StepError(
                f"{step.name} ended with status {status}; its output is in {self.console}. Run "
                "the same command again to go on from there. Its last lines:\n" + "\n".join(last)
            )
        done = {**step.made_of(), "seconds": seconds, "starts": self.starts}
        write_json(step.done_file, done)
        step.starts_file.unlink(missing_ok=True)
        return seconds


def _end_with_parent() -> None:
    """In the child: ask Linux for SIGTERM when the parent is gone, be it by kill -9.

    It would otherwise go on in the folder that the next run takes up.
    """
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
