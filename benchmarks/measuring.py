"""What the benchmarks share: alternating measurements, versions, the machine, the last line."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PATH = "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2"  # of the 300M space: DetNASNet, COCO, FPN
PACKAGES = ("torch", "torchvision", "detectron2", "numpy", "pycocotools", "hotcoco", "ray")


def alternate(
    contenders: Mapping[str, Callable[[], Any]], rounds: int = 5, warm_up: int = 1
) -> dict[str, list[float]]:
    """Seconds of each contender in each round, measured in turn so that drift hits all alike.

    Args:
        contenders: by name; each call is one measurement.
        rounds: how often each is measured.
        warm_up: calls of each before that are not counted.
    """
    for _ in range(warm_up):
        for run in contenders.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def median_ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """The median over the rounds of slow / fast."""
    return statistics.median(s / f for s, f in zip(slow, fast, strict=True))


def first(names: str, count: int) -> list[dict[str, Any]]:
    """The first images of a registered data set."""
    from detectron2.data import get_detection_dataset_dicts  # here, as below: it imports torch

    return get_detection_dataset_dicts(names, filter_empty=False)[:count]


def machine() -> str:
    """Processor and number of usable cores."""
    # here, for it imports torch, and 64 workers with torch are more than a machine holds
    from detnas_d2.evaluation.timing import device_name

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
