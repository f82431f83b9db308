"""The real scripts on the tiny steps of tools/tiny_steps.py."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.utils.logger import setup_logger
from tiny_steps import write_tiny_steps

from detnas_d2.data import register_builtin_datasets
from detnas_d2.space import SearchSpace
from detnas_d2.space_file import load_space

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Workspace:
    """A folder with configs/tiny and a data set, in which the scripts are run."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __truediv__(self, path: str | Path) -> Path:
        return self.folder / path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DETECTRON2_DATASETS": str(self / "datasets"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        }

    def start(self, script: str, step: str, *arguments: str) -> subprocess.Popen[str]:
        """The script in a process of its own, with its children a process group."""
        process = subprocess.Popen(
            [sys.executable, str(ROOT / script), *self._config(step), *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def search_until(self, lines: int, step: str, *arguments: str) -> subprocess.Popen[str]:
        """search_net.py, started, once its ledger has so many lines; the last argument is its
        train.output_dir."""
        process = self.start("search_net.py", step, *arguments)
        ledger = self / arguments[-1].partition("=")[2] / "ledger.jsonl"
        while not ledger.exists() or ledger.read_bytes().count(b"\n") < lines:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.002)
        return process

    def evaluations(self, folder: str | Path) -> list[dict[str, Any]]:
        """The lines of a search's ledger after the header, without seconds and checksums."""
        lines = map(json.loads, (self / folder / "ledger.jsonl").read_bytes().splitlines()[1:])
        return [{k: v for k, v in x.items() if k not in ("seconds", "crc32")} for x in lines]

    def call(self, script: str, step: str, *arguments: str) -> tuple[int | str, str]:
        """`run` of a script with the config of a step."""
        return self.run(script, *self._config(step), *arguments)

    def run(self, program: str, *arguments: str) -> tuple[int | str, str]:
        """A script (.py) or module as __main__ in this process, which saves the seconds of a start.

        Returns:
            what it ended with (a status or an error's message), and what it printed.
        """
        status: int | str | None = 0
        output = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, _one_thread(), _logging_restored():
            patch.chdir(self.folder)
            for name in ("DETECTRON2_DATASETS", "PYTHONPATH"):
                patch.setenv(name, self.environment[name])
            patch.setattr(sys, "argv", [program, *arguments])
            register_builtin_datasets()
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                try:
                    if program.endswith(".py"):
                        runpy.run_path(str(ROOT / program), run_name="__main__")
                    else:
                        runpy.run_module(program, run_name="__main__")
                except SystemExit as e:
                    status = e.code
        register_builtin_datasets()
        return status or 0, output.getvalue()

    def _config(self, step: str) -> list[str]:
        return ["--config-file", f"configs/tiny/{step}.py"]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """As OMP_NUM_THREADS=1 in a process of its own: convolutions round alike."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@contextlib.contextmanager
def _logging_restored() -> Iterator[None]:
    """Detectron2's setup_logger adds handlers and stops propagation, which others' caplog needs."""
    loggers = [logging.getLogger(name) for name in ("detectron2", "detnas_d2", "fvcore")]
    saved = [(x, x.handlers[:], x.level, x.propagate) for x in loggers]
    yield
    for logger, handlers, level, propagate in saved:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate
    setup_logger.cache_clear()  # it remembers what it has set up


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """For tests that call Detectron2's default_setup."""
    with _logging_restored():
        yield


@pytest.fixture(scope="session")
def workspace(tmp_path_factory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("workspace")
    write_tiny_steps(folder)
    workspace = Workspace(folder)
    yield workspace
    for process in workspace.started:  # left by a test that failed
        if process.poll() is None:
            process.kill()


@pytest.fixture(scope="session")
def tiny_space(workspace) -> SearchSpace:
    return load_space(str(workspace / "configs/tiny/step3.py"), trust=True)


@pytest.fixture(scope="session")
def supernet(workspace) -> Path:
    """A detection supernet, trained from a classification supernet by the real script."""
    for step in ("step1", "step2"):
        status, output = workspace.call("train_net.py", step)
        assert status == 0, output
    return workspace / "output/step2/model_final.pth"


@pytest.fixture(scope="session")
def searched(workspace, supernet) -> tuple[Path, str]:
    """The folder of an uninterrupted search of that supernet, and what the script printed."""
    status, output = workspace.call("search_net.py", "step3")
    assert status == 0, output
    return workspace / "output/step3", output
