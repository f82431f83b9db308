"""Processes that chaos.py starts, watches and kills."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
import torch.utils.tensorboard  # as a training does, but late  # noqa: F401

from detnas_d2.data import register_builtin_datasets
from detnas_d2.files import TEMPORARY

ROOT = Path(__file__).resolve().parent.parent
NOT_WATCHED = ("log.txt", "events.")
_fork = multiprocessing.get_context("fork")


class Run:
    """A process in a group of its own, whose output goes to the end of a file.

    Args:
        folder: where it runs; its data sets lie in ``datasets`` there.
        console: the file of its output.
        what: a command, started from scratch as a user does; or a function, which is called in a
            fork of this process. The latter must not have computed with torch before.
    """

    def __init__(self, folder: Path, console: Path, what: Sequence[str] | Callable[[], None]):
        self._start = time.monotonic()
        environment = {
            **os.environ,
            "DETECTRON2_DATASETS": str(folder / "datasets"),
            "OMP_NUM_THREADS": "1",
            "RAY_TMPDIR": str(folder / "ray"),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }
        self._process: subprocess.Popen[bytes] | BaseProcess
        with open(console, "ab") as output:
            if callable(what):
                arguments = (folder, output.fileno(), environment, what)
                self._process = _fork.Process(target=_call, args=arguments)
                self._process.start()
            else:
                self._process = subprocess.Popen(
                    what,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self._start

    def status(self) -> int | None:
        """None while it runs; minus the number of the signal that ended it."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll()
        return self._process.exitcode

    def terminate(self) -> None:
        """SIGTERM to it alone."""
        self._process.terminate()

    def kill(self) -> bool:
        """SIGKILL to it alone; whether that ended it."""
        return self._kill(os.kill)

    def kill_group(self) -> bool:
        """SIGKILL to it and to what it started in its process group; whether that ended it."""
        return self._kill(os.killpg, os.kill)  # at first it is not yet in a group of its own

    def kill_started(self, title: str) -> bool:
        """SIGKILL to one process that it started whose command line contains `title`.

        Returns:
            whether there was one.
        """
        for pid in self._started():
            with contextlib.suppress(OSError):
                if title in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, signal.SIGKILL)
                    return True
        return False

    def _kill(self, *kills: Callable[[int, int], None]) -> bool:
        if self.status() is None:
            for kill in kills:
                with contextlib.suppress(ProcessLookupError):
                    kill(self._pid, signal.SIGKILL)
            if isinstance(self._process, subprocess.Popen):
                self._process.wait()
            else:
                self._process.join()
            return self.status() == -signal.SIGKILL
        return False

    def _started(self) -> list[int]:
        """Its children and theirs, the last one first."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                children.setdefault(int(parent), []).append(int(entry.name))
        found = [self._pid]
        for pid in found:
            found += children.get(pid, [])
        return found[:0:-1]

    @property
    def _pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid


def preload(*scripts: str) -> None:
    """Import what the scripts import, so that they need not when forked."""
    for script in scripts:
        runpy.run_path(str(ROOT / script), run_name="preload")


def as_main(script: str, arguments: Sequence[str]) -> Callable[[], None]:
    """A script of the repository as ``__main__``, for a forked Run."""

    def call() -> None:
        sys.argv = [script, *arguments]
        register_builtin_datasets()
        runpy.run_path(str(ROOT / script), run_name="__main__")

    return call


def changes(folder: Path) -> Iterator[bool]:
    """Whether a file in the folder has appeared, grown, moved or gone since the last next()."""
    before = _files(folder)
    while True:
        now = _files(folder)
        yield now != before
        before = now


def half_written(folder: Path) -> set[tuple[str, tuple[int, int]]]:
    """The temporary files in it, as they are now."""
    return {item for item in _files(folder).items() if item[0].endswith(TEMPORARY)}


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and bytes of each file."""
    found = {}
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(NOT_WATCHED):
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    found[entry.name] = (status.st_ino, status.st_size)
    return found


def _call(folder: Path, output: int, environment: dict[str, str], what: Callable[[], None]) -> None:
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1)  # a test may have replaced them
    os.chdir(folder)
    os.environ.update(environment)
    torch.set_num_threads(1)
    what()
