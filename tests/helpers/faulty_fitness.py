"""Fitness functions without torch that misbehave on demand, in worker processes of their own."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from detnas_d2.errors import DetNASError
from detnas_d2.phases import Phase, SplitFitness
from detnas_d2.space import Architecture

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "tests/helpers")])

Faults = Mapping[tuple[int, ...], Sequence[str]]


def value(architecture: Architecture) -> float:
    return sum((i + 1) * c / 7 for i, c in enumerate(architecture))


class FaultyFitness:
    """`value`, but for the faults of some architectures: one for each attempt, then none.

    Each attempt leaves a file in the folder, which holds the process id.
    """

    def __init__(self, folder: Path, faults: Faults, data: Any) -> None:
        self.folder, self.faults, self.data = folder, faults, data

    def __call__(self, architecture: Architecture) -> tuple[float, dict[str, float]]:
        attempt = len(attempts(self.folder, architecture.choices))
        leave(self.folder, f"{architecture}.{attempt}")
        faults = self.faults.get(architecture.choices, ())
        for fault in faults[attempt].split("; ") if attempt < len(faults) else ():
            if fault == "nan":
                return float("nan"), {"AP": float("nan"), "APs": 1.0}
            misbehave(self.folder, fault)
        result = value(architecture)
        return result, {"AP": result, "sum": float(self.data.sum())}


class FaultyParts(SplitFitness):
    """A value in four phases whose last digits depend on the order in which results are put
    together; faults of (choices, phase, unit), one for each attempt, which leave files as above."""

    UNITS = (6, 1, 9, 1)

    def __init__(self, folder: Path, faults: Mapping[Any, Sequence[str]]) -> None:
        needs: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (1, 2))
        super().__init__(
            Phase(partial(self.run, number), units, its_needs)
            for number, (units, its_needs) in enumerate(zip(self.UNITS, needs, strict=True))
        )
        self.folder, self.faults = folder, faults

    def run(self, phase: int, architecture: Architecture, units: range, *given: Any) -> list[Any]:
        return [self.unit(phase, architecture, unit, *given) for unit in units]

    def unit(self, phase: int, architecture: Architecture, unit: int, *given: Any) -> Any:
        faults = self.faults.get((architecture.choices, phase, unit), ())
        key = (*architecture.choices, phase, unit)
        attempt = len(attempts(self.folder, key))
        leave(self.folder, f"{','.join(map(str, key))}.{attempt}")
        for fault in faults[attempt].split("; ") if attempt < len(faults) else ():
            misbehave(self.folder, fault)
        result = value(architecture) / (unit + 3) + sum(map(sum, given)) / 7
        return (result, {"AP": result}) if phase == len(self.UNITS) - 1 else result


def make_parts(folder: Path, faults: Mapping[Any, Sequence[str]]) -> FaultyParts:
    leave(folder, f"start.{os.getpid()}")
    return FaultyParts(folder, faults)


def make(folder: Path, faults: Faults, data: Any) -> FaultyFitness:
    assert not data.flags.writeable and not data.flags.owndata  # it lies in the object store
    leave(folder, f"start.{os.getpid()}")
    return FaultyFitness(folder, faults, data)


def make_badly(folder: Path, faults: Sequence[str]) -> Any:
    """The faults of starts, by their order; later starts succeed."""
    leave(folder, f"start.{os.getpid()}")
    start = next(n for n in itertools.count() if _claim(folder / f"claim.{n}"))
    for fault in faults[start].split("; ") if start < len(faults) else ():
        misbehave(folder, fault)
    return lambda architecture: (value(architecture), {})


def _claim(file: Path) -> bool:
    """Whether this process is the first to ask for it."""
    try:
        with open(file, "x") as opened:
            opened.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True


def misbehave(folder: Path, fault: str) -> None:
    kind, *arguments = fault.split()
    if kind == "raise":
        raise ValueError(" ".join(arguments) or "no")
    if fault == "wrong setting":
        raise DetNASError("search.metric is wrong")
    if fault == "one is broken":  # the first process here, as on a GPU whose context is broken
        is_mine = _claim(folder / "broken")
        time.sleep(0.3)
        if is_mine or (folder / "broken").read_text() == str(os.getpid()):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)
    if fault == "exit":
        sys.exit(3)
    if fault == "hang":
        time.sleep(1000)
    if kind == "leave":
        leave(folder, arguments[0])
    if kind == "sleep":
        time.sleep(float(arguments[0]))
    if kind == "await":  # so many files of that name
        wait_until(lambda: len(list(folder.glob(arguments[1]))) >= int(arguments[0]))


def leave(folder: Path, name: str) -> None:
    waiting = folder / f".{name}"
    waiting.write_text(str(os.getpid()))
    waiting.rename(folder / name)


def attempts(folder: Path, choices: Sequence[int]) -> list[int]:
    """The process of each attempt so far."""
    name = ",".join(map(str, choices))
    files = sorted(folder.glob(f"{name}.*"), key=lambda f: int(f.suffix[1:]))
    return [int(f.read_text()) for f in files]


def starts(folder: Path) -> list[int]:
    """The processes that made a fitness function."""
    return [int(f.read_text()) for f in folder.glob("start.*")]


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
