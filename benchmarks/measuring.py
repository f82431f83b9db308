"""What the benchmarks share: arguments, alternating measurements, versions, the last line.

It imports no torch by itself: 64 workers with torch are more than a machine holds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PATH = "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2"  # of the 300M space: DetNASNet, COCO, FPN
PACKAGES = ("torch", "torchvision", "detectron2", "numpy", "pycocotools", "hotcoco", "ray")


def parser(description: str | None, rounds: int = 5) -> argparse.ArgumentParser:
    """Of a benchmark's arguments: that of its alternations."""
    form = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(description=description, formatter_class=form)
    made.add_argument("--rounds", type=int, default=rounds, help="alternations")
    return made


def alternate(
    contenders: Mapping[str, Callable[[], Any]], rounds: int, warm_up: int = 1
) -> tuple[float, dict[str, float]]:
    """Each contender in turn, so that drift hits all alike.

    Args:
        contenders: two, by name; each call is one measurement.
        rounds: how often each is measured.
        warm_up: calls of each before that are not counted.

    Returns:
        the median over the rounds of the first's time over the second's, and the median seconds of
        each.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(warm_up + rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    counted = {name: times[warm_up:] for name, times in seconds.items()}
    ratio = statistics.median(a / b for a, b in zip(*counted.values(), strict=True))
    return ratio, {name: statistics.median(times) for name, times in counted.items()}


def bccd(name: str) -> Any:
    """A config of configs/bccd."""
    from detnas_d2.engine import load_config  # here, as below: it imports torch

    return load_config(str(ROOT / f"configs/bccd/{name}.py"))


def first(names: str, count: int) -> list[dict[str, Any]]:
    """The first images of a registered data set."""
    from detectron2.data import get_detection_dataset_dicts

    return get_detection_dataset_dicts(names, filter_empty=False)[:count]


def machine() -> str:
    """Processor and number of usable cores."""
    from detnas_d2.evaluation.cpu import device_name

    return f"{device_name('cpu')}, {len(os.sched_getaffinity(0))} cores"


def versions() -> dict[str, str]:
    """Python and the packages that the figures depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def mark(what: str, reached: bool) -> None:
    """Print whether what a benchmark is to show is so."""
    print(f"mark: {what}: {'reached' if reached else 'NOT reached'}", flush=True)


def report(name: str, figures: Mapping[str, Any]) -> None:
    """Print the last line of a benchmark: one JSON object; JSON has null for NaN.

    Args:
        figures: numbers are rounded to 4 digits behind the point.
    """
    whole = {"name": name, **figures, "versions": versions(), "machine": machine()}
    print(json.dumps(_rounded(whole)))


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, float):
        return None if value != value else round(value, 4)
    return value
