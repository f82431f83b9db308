#!/usr/bin/env python3
"""Kill trainings and searches at random moments, go on with --resume, compare the results.

    python tools/chaos.py                      # make chaos: 100 kills of all kinds
    python tools/chaos.py --short --kills 1    # as the tests do: two kinds, three steps

Each step of tiny_steps.py is run uninterrupted first. Then, in other folders, it is killed with
SIGKILL, gone on with, killed again, and so on, until a run comes to its end before its kill. What
is then in the folder has to be what the uninterrupted run left, bit for bit (chaos_compare.py).
The moments are uniform over the length of an uninterrupted run, or those at which it writes a
file. A resume that fails and any difference are printed, all folders are kept, and the exit status
is 1. The last line is {"kills": N, "identical": true}.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import torch
import torch.utils.tensorboard  # as a training does, but late  # noqa: F401
from chaos_compare import differences
from tiny_steps import ROOT, write_tiny_steps

from detnas_d2.commands import command, new_parser
from detnas_d2.data import register_builtin_datasets

TRAIN = ("train.max_iter=24", "train.checkpointer.period=4", "train.log_period=2")
# as little as it has learnt, it then finds some objects
LOW_SCORES = "model.roi_heads.box_predictor.test_score_thresh=0.0"
STEPS = {
    "step1": ("train_net.py", TRAIN),
    "step2": ("train_net.py", TRAIN),
    "step3": ("search_net.py", (LOW_SCORES,)),
    "step4": ("train_net.py", (*TRAIN, LOW_SCORES, "train.eval_period=7")),
}
"""Script and overrides of the steps of tiny_steps.py, which read what those before them wrote."""
TOO_LONG = 300.0  # seconds of one run, which takes 2 on an idle machine, with Ray 20
TOO_LATE = 30  # runs in a row that came to their end before their kill
WRITES = 30  # changes of files in which a training that was told to stop saves its checkpoint
STOPPED = (-signal.SIGTERM, 128 + signal.SIGTERM)  # as a run ends that was told to stop
STALE_LOCK = "waiting for its end"  # as the lock of an output folder says it
POLL = 0.0003  # seconds
_fork = multiprocessing.get_context("fork")


class Kind(NamedTuple):
    """A way of killing.

    Args:
        share: of the kills, beside those of the other kinds.
        steps: those that are killed so.
        writing: kill when a file has just appeared, grown, moved or gone; else at any moment.
        alone: kill the script alone, and not the workers that it started.
        override: of the config, beside those of STEPS.
        warned: SIGTERM first, and SIGKILL when some more files have changed.
    """

    name: str
    share: int
    steps: tuple[str, ...]
    writing: bool = False
    alone: bool = False
    override: str = "train.seed=0"
    warned: bool = False


DATA_WORKERS, RAY_WORKERS = "dataloader.train.num_workers=2", "search.executor.workers=2"
KINDS = (
    Kind("any moment", 7, tuple(STEPS)),
    Kind("while it writes", 5, tuple(STEPS), writing=True),
    Kind("while it stops", 2, ("step1", "step2", "step4"), warned=True),
    Kind("without its data workers", 2, ("step2", "step4"), alone=True, override=DATA_WORKERS),
    Kind("without its Ray workers", 1, ("step3",), alone=True, override=RAY_WORKERS),
)


class Failure(Exception):
    """A run that did not come to its end, or did not leave what the uninterrupted one did."""


class Run:
    """A run of a step, in a process group of its own, which ends with the context.

    It is a fork of this process, which has imported everything, and goes on in this folder, which
    has configs and data. What it writes is in output/`name`, and what it prints in `name`.txt.
    """

    def __init__(self, step: str, kind: Kind, name: str, *, resume: bool = False) -> None:
        self.name, self.output, self.console = name, Path("output", name), Path(f"{name}.txt")
        script, overrides = STEPS[step]
        command = [str(ROOT / script), "--config-file", f"configs/tiny/{step}.py", *overrides]
        command += [kind.override, f"train.output_dir={self.output}", *["--resume"] * resume]
        self.process = _fork.Process(target=_call, args=(self.console, command))
        self._start = time.monotonic()
        self.process.start()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *args: object) -> None:
        self.kill()
        self.process.join()

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self._start

    def changes(self) -> Iterator[int]:
        """How often files of its output folder, logs aside, have changed so far, while it runs.

        Raises:
            Failure: it hangs.
        """
        count, before = 0, self._files()
        while self.process.exitcode is None:
            if self.seconds > TOO_LONG:
                why = f"did not come to its end; its output is in {self.console}"
                raise Failure(f"{self.name} {why}")
            yield count
            time.sleep(POLL)
            now = self._files()
            count, before = count + (now != before), now

    def kill(self, *, alone: bool = False) -> bool:
        """SIGKILL to it, and unless `alone` to all that it started; whether that ended it."""
        pid = self.process.pid
        assert pid is not None
        ran = self.process.exitcode is None
        if not alone:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        if ran:  # at first it is not yet in a group of its own
            self.process.kill()
            self.process.join()
        return ran and self.process.exitcode == -signal.SIGKILL

    def _files(self) -> dict[str, tuple[int, int]]:
        """Inode and bytes of each file."""
        found = {}
        with contextlib.suppress(FileNotFoundError), os.scandir(self.output) as entries:
            for entry in entries:
                if not entry.name.startswith(("log.txt", "events.")):
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat()
                        found[entry.name] = (status.st_ino, status.st_size)
        return found

    def check(self, step: str) -> None:
        """Raise Failure where it failed, found a lock, or left something else than `step` did."""
        lines = self.console.read_text(errors="replace").splitlines()
        if self.process.exitcode:
            why, lines = f"ended with status {self.process.exitcode}", lines[-15:]
        elif waited := [line for line in lines if STALE_LOCK in line]:
            why, lines = "found the lock of a run that was killed", waited
        elif unlike := list(differences(Path("output", step), self.output)):
            why, lines = f"is not what {step} is", unlike[:15]
        else:
            return
        raise Failure("\n    ".join([f"{self.name} {why}; see {self.console}", *lines]))


def _call(console: Path, command: list[str]) -> None:
    """In the child: become the script."""
    os.setsid()
    with open(console, "ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.argv = command
    runpy.run_path(command[0], run_name="__main__")


def measure(step: str, kind: Kind, name: str) -> tuple[float, int]:
    """Run a step uninterrupted: its seconds, and how often its files change."""
    with Run(step, kind, name) as run:
        *_, changes = run.changes()
        seconds = run.seconds
        run.check(step)
    return seconds, changes


def strike(run: Run, kind: Kind, length: tuple[float, int], rng: random.Random) -> bool:
    """Kill a run at a moment of that kind; False if it came to its end before."""
    moment, left = rng.uniform(0, length[0]), rng.randint(1, length[1])
    warned = False
    for changes in run.changes():
        due = changes >= left if kind.writing or warned else run.seconds >= moment
        if due and kind.warned and not warned:
            run.process.terminate()
            warned, left = True, changes + rng.randint(1, WRITES)
        elif due and run.kill(alone=kind.alone):
            return True
    return False


def chain(kind: Kind, step: str, count: int, seed: int) -> int:
    """Kill a step `count` times, each time gone on with until it comes to its end.

    Returns:
        `count`.

    Raises:
        Failure: what was left in the end is not what the uninterrupted run left.
    """
    name = f"{step}_{kind.name.replace(' ', '_')}"
    rng = random.Random(f"{seed} {name}")
    length = measure(step, kind, f"{name}_whole")
    done = 0
    for number in range(count + TOO_LATE):
        for start in itertools.count():
            with Run(step, kind, f"{name}_{number}", resume=start > 0) as run:
                killed = done < count and strike(run, kind, length, rng)
                if not killed:
                    list(run.changes())  # to its end
            done += killed
            if not killed and run.process.exitcode not in STOPPED:
                break
        run.check(step)
        shutil.rmtree(run.output)
        if done == count:
            print(f"{name}: identical after {count} kills", flush=True)
            return count
    raise Failure(f"no moment was found for the kill {kind.name!r} of {step}")


def run(count: int, seed: int, jobs: int, short: bool) -> bool:
    """Returns whether all kills were survived."""
    start = time.monotonic()
    print(f"{count} kills, seed {seed}, {jobs} at a time", flush=True)
    torch.set_num_threads(1)  # a fork of a process that computed in threads can hang
    for script in ("train_net.py", "search_net.py"):  # their forks then need not import anything
        runpy.run_path(str(ROOT / script), run_name="preload")
    folder = Path(tempfile.mkdtemp(prefix="chaos_"))
    write_tiny_steps(folder)
    os.chdir(folder)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.environ.update(OMP_NUM_THREADS="1", RAY_TMPDIR=str(folder / "ray"), PYTHONPATH=path)
    os.environ["DETECTRON2_DATASETS"] = str(folder / "datasets")
    register_builtin_datasets()
    steps = list(STEPS)[: 3 if short else None]
    ways = [(k, step) for k in KINDS[: 2 if short else None] for step in k.steps if step in steps]
    shares = [kind.share / len(kind.steps) for kind, _ in ways]
    kills = Counter(random.Random(seed).choices(ways, shares, k=count))
    for step in steps:
        measure(step, KINDS[0], step)
    survived, failures = 0, 0
    with ProcessPoolExecutor(jobs, mp_context=_fork) as pool:
        waiting = [pool.submit(chain, *way, number, seed) for way, number in kills.items()]
        for future in as_completed(waiting):
            try:
                survived += future.result()
            except Failure as failure:
                failures += 1
                print(failure, flush=True)
    print(f"{survived} of {count} kills survived in {time.monotonic() - start:.0f} s")
    if failures:
        print(f"seed {seed}; {failures} failures, see above; all is kept in {folder}")
    else:
        shutil.rmtree(folder)
    print(json.dumps({"kills": survived, "identical": not failures}))
    return not failures


@command("chaos.py")
def main(argv: Sequence[str]) -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the moments")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, a core each")
    parser.add_argument("--short", action="store_true", help="two kinds, three steps")
    args = parser.parse_args(argv)
    sys.exit(not run(args.kills, args.seed, args.jobs, args.short))


if __name__ == "__main__":
    main()
