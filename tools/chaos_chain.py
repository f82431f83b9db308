"""Steps that are killed and resumed until they come to their end, and what came of them."""

from __future__ import annotations

import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chaos_compare import differences
from chaos_kinds import GROUP, SCRIPT, STEPS, UNKILLED, Kill, Kind
from chaos_runs import ROOT, Run, as_main, changes, half_written

TOO_LONG = 300.0  # seconds of one run, which takes 2 on an idle machine, with Ray 20
TOO_LATE = 100  # kills in a row
STOPPED = (-signal.SIGTERM, 128 + signal.SIGTERM)  # as a run ends that was told to stop
WRITES = 30  # changes of files in which a training that was told to stop saves its checkpoint
LINES = 15  # of a failure that are shown
STALE_LOCK = "waiting for its end"  # as engine/lock.py says it


@dataclass(frozen=True)
class Length:
    """Of an uninterrupted run: its seconds, and how often its files changed."""

    seconds: float
    changes: int


class Chaos:
    """The runs and kills of all steps in one folder.

    What runs scripts is a generator that yields while it waits, so that several go on side by side.

    Args:
        folder: with the configs and data of tiny_steps.py.
        kills: those to come; one that comes too late goes back to their end.
        seed: of the moments.

    Attributes:
        survived: by kind, the kills after which the results were identical.
        half_written: kills that left a file half-written.
        failures: what was not identical, or did not come to its end.
    """

    def __init__(self, folder: Path, kills: list[Kill], seed: int) -> None:
        self.folder = folder
        self.kills = kills
        self.seed = seed
        self.survived: Counter[str] = Counter()
        self.half_written = 0
        self.failures: list[str] = []
        self._lengths: dict[tuple[str, bool, tuple[str, ...]], Length] = {}
        self._too_late = 0
        self._running: list[Run] = []

    def measure(self, step: str, kind: Kind = UNKILLED) -> Iterator[None]:
        """Run a step uninterrupted in the way of that kind; the first run is the reference."""
        way = Kill(kind, step).way
        if way in self._lengths:
            return
        whole = f"{step}_whole{len(self._lengths)}"
        name = whole if self._output(step).exists() else step
        self._lengths[way] = Length(0, 0)
        run = self._start(step, kind, name)
        watch, count = changes(self._output(name)), 0
        while run.status() is None and run.seconds < TOO_LONG:
            count += next(watch)
            yield
        self._lengths[way] = Length(run.seconds, count)
        print(f"{name}: {run.seconds:.1f} s, its files change {count} times", flush=True)
        yield from self._check(run, step, name)

    def chain(self, name: str) -> Iterator[None]:
        """Kill the step of the first kill, and resume it, until it comes to its end."""
        rng = random.Random(f"{self.seed} {name}")
        step, done = self.kills[0].step, []
        again = False
        while True:
            kill = next((k for k in self.kills if k.step == step), None)
            kind = kill.kind if kill else UNKILLED
            run = self._start(step, kind, name, resume=again)
            again = kill is not None and (yield from self._strike(run, kill, name, rng))
            if again:
                done.append(kind.name)
            while run.status() is None and run.seconds < TOO_LONG:
                yield
            if kill and not again and not done and run.status() == 0:  # by what else runs here
                self._lengths[kill.way] = replace(self._lengths[kill.way], seconds=run.seconds)
            again |= kind.warned and run.status() in STOPPED
            if not again or kind.outlives or run.status() == 0:
                break
        if (yield from self._check(run, step, name)):
            print(f"{name}: identical after {len(done)} kills", flush=True)
            self.survived.update(done)
            shutil.rmtree(self._output(name))

    def close(self) -> None:
        """End what still runs."""
        for run in self._running:
            run.kill_group()

    def _strike(
        self, run: Run, kill: Kill, name: str, rng: random.Random
    ) -> Generator[None, None, bool]:
        """Kill at a moment of that kind; False if the run came to its end before."""
        self.kills.remove(kill)
        kind, length = kill.kind, self._lengths[kill.way]
        moment = rng.uniform(0, length.seconds)
        left = rng.randint(1, length.changes)
        warned, left_before = False, half_written(self._output(name))
        watch = changes(self._output(name))
        while run.status() is None and run.seconds < TOO_LONG:
            left -= next(watch)
            due = left <= 0 if kind.writing or warned else run.seconds >= moment
            if due and kind.warned and not warned:
                run.terminate()
                warned, left = True, rng.randint(1, WRITES)
            elif due and _kill(run, kind.victim):
                self._too_late = 0
                new = half_written(self._output(name)) - left_before
                self.half_written += bool(new)
                what = ", a file was half-written" if new else ""
                print(f"{name}: {kind.name}, {run.seconds:.2f} s{what}", flush=True)
                return True
            yield
        self.kills.append(kill)
        self._too_late += 1
        if self._too_late > TOO_LATE:
            raise RuntimeError(f"no moment was found for the kill {kind.name!r} of {kill.step}")
        return False

    def _check(self, run: Run, step: str, name: str) -> Generator[None, None, bool]:
        """Whether a run came to its end and left what the reference left; notes what did not."""
        status, console = run.status(), self.folder / f"{name}.txt"
        run.kill_group()
        lines = console.read_text(errors="replace").splitlines()
        if status != 0:
            how = "did not come to its end" if status is None else f"ended with status {status}"
            return self._fail(f"{name} {how}; its output is in {console}", lines[-LINES:])
        if waited := [line for line in lines if STALE_LOCK in line]:
            return self._fail(f"{name} found the lock of a run that was killed", waited)
        if name == step:
            return True
        console = self.folder / f"{name}_differences.txt"
        run = self._run(lambda: _compare(self._output(step), self._output(name)), console)
        while run.status() is None:
            yield
        lines = console.read_text().splitlines()
        if run.status() == 0:
            return True
        why = f"{name} is not what {step} is: {len(lines)} differences in {console}"
        return self._fail(why, lines[:LINES])

    def _fail(self, why: str, lines: list[str]) -> bool:
        self.failures.append("\n    ".join([why, *lines]))
        print(self.failures[-1], flush=True)
        return False

    def _start(self, step: str, kind: Kind, name: str, *, resume: bool = False) -> Run:
        script, overrides = STEPS[step]
        arguments = [
            *("--config-file", f"configs/tiny/{step}.py"),
            *(["--resume"] if resume else []),
            *(*overrides, *kind.overrides, f"train.output_dir=output/{name}"),
        ]
        command = [sys.executable, str(ROOT / script), *arguments]
        what = as_main(script, arguments) if kind.forked else command
        return self._run(what, self.folder / f"{name}.txt")

    def _run(self, what: Sequence[str] | Callable[[], None], console: Path) -> Run:
        run = Run(self.folder, console, what)
        self._running = [*(r for r in self._running if r.status() is None), run]
        return run

    def _output(self, name: str) -> Path:
        return self.folder / "output" / name


def _kill(run: Run, victim: str) -> bool:
    if victim == GROUP:
        return run.kill_group()
    return run.kill() if victim == SCRIPT else run.kill_started(victim)


def _compare(expected: Path, found: Path) -> None:
    lines = list(differences(expected, found))
    print(*lines, sep="\n")
    sys.exit(bool(lines))
