"""The report: one HTML page that opens from disk with no network, and its charts as PNG files."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..errors import DetNASError
from ..files import write_atomically
from .folders import StepFolder, is_step, read_step, related_steps, steps_in
from .search_folder import read_search
from .search_part import SearchPart, search_part
from .style import Chart, chart_style
from .texts import duration
from .training_chart import metric_names, training_chart

FOLDER, PAGE = "report", "index.html"
_MOST_SEARCHES, _MOST_TRAININGS = 6, 12
_PACKAGES = ("detnas-d2", "torch", "detectron2", "numpy", "matplotlib")
_NO_SEARCH = (
    "There is no ledger.jsonl in this folder, nor in one that lies in it. python search_net.py "
    "--config-file … writes it, to its train.output_dir."
)


class ReportError(DetNASError):
    """A report of nothing."""


def write_report(output: str | os.PathLike[str]) -> Path:
    """Write OUTPUT/report/index.html and PNG files beside it.

    Args:
        output: a step's output folder, best a search's; or one that holds those of several steps.
            What is missing in it, damaged or just being written is told on the page.

    Returns:
        the page's file.

    Raises:
        ReportError: there is no such folder.
        OSError: the report can't be written.
    """
    root = Path(output)
    if not root.is_dir():
        raise ReportError(
            f"There is no folder {str(root)!r}; give the output folder of a search (its "
            "train.output_dir), or the folder that holds those of several steps."
        )
    steps = _steps(root)
    searches = [s for s in steps if s.kind == "search"]
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    with chart_style():
        parts = [
            search_part(read_search(s), _png(folder, s.name if len(searches) > 1 else ""))
            for s in searches[:_MOST_SEARCHES]
        ]
        trainings = [(s, s.metrics) for s in steps if s.metrics and s.kind != "search"]
        charts = _training_charts(trainings, folder)
    if not parts:
        parts = [SearchPart(root.resolve().name, "missing", "No search here.", "", (), _NO_SEARCH)]
        parts[0].missing_detections = _NO_SEARCH
    environment = Environment(
        loader=PackageLoader("detnas_d2.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("template.html").render(
        title=root.resolve().name,
        folder=str(root.resolve()),
        written=time.strftime("%Y-%m-%d %H:%M"),
        versions=_versions(),
        searches=parts,
        other_searches=[s.name for s in searches[_MOST_SEARCHES:]],
        trainings=charts,
        more_trainings=max(len(trainings) - _MOST_TRAININGS, 0),
        steps=[_row(s) for s in steps],
        problems=[f"{s.name}: {p}" for s in steps if s.kind != "search" for p in s.problems],
        below=[] if steps else [p.name for p in sorted(root.iterdir()) if steps_in(p)],
    )
    page = folder / PAGE
    write_atomically(page, text)
    return page


def _steps(root: Path) -> list[StepFolder]:
    """The folder with what belongs to it, or the steps in it."""
    if not is_step(root):
        return steps_in(root)
    step = read_step(root)
    return related_steps(step) if step.kind == "search" else [step]


def _png(folder: Path, search: str) -> Callable[[str], Path]:
    return lambda name: folder / (f"{search}_{name}.png" if search else f"{name}.png")


def _training_charts(
    trainings: Sequence[tuple[StepFolder, list[dict[str, Any]]]], folder: Path
) -> list[tuple[str, Chart]]:
    drawn = [
        (s.name, training_chart(lines, s.name, folder / f"training_{s.name}.png"))
        for s, lines in trainings[:_MOST_TRAININGS]
    ]
    return [(name, chart) for name, chart in drawn if chart is not None]


def _row(step: StepFolder) -> dict[str, Any]:
    lines = step.metrics if step.kind != "search" else []
    names = [n for n in metric_names(lines) if any(n in line for line in lines)][:1]
    result = ""
    if step.evaluation is not None:
        name = next(iter(metric_names([step.evaluation])), None)
        value = step.evaluation.get(name) if name else None
        result = f"{name} {value:.2f}" if isinstance(value, (int, float)) else "no metrics"
    elif names:
        value = [line[names[0]] for line in lines if names[0] in line][-1]
        result = f"{names[0]} {value:.2f}" if isinstance(value, (int, float)) else ""
    iterations = step.setting("train.max_iter") if step.kind == "train" else None
    done = max((line["iteration"] for line in lines), default=None)
    count = "" if iterations is None else f"{iterations:,}"
    if iterations is not None and done is not None and done + 1 < iterations:
        count = f"{done + 1:,} of {count}"
    return {
        "name": step.name,
        "kind": step.kind or "unknown",
        "iterations": count,
        "batch": _text(step.setting("dataloader.train.total_batch_size"), step.kind == "train"),
        "seed": _text(step.setting("search.seed" if step.kind == "search" else "train.seed")),
        "device": _text(step.setting("train.device")),
        "checkpoint": _begins_with(step),
        "result": result,
        "seconds": duration(step.seconds) if step.seconds is not None else _estimated(lines),
    }


def _begins_with(step: StepFolder) -> str:
    checkpoint = str(step.setting("train.init_checkpoint") or "")
    return Path(checkpoint).parent.name or checkpoint


def _estimated(lines: Sequence[dict[str, Any]]) -> str:
    """Of a training that nobody timed: seconds an iteration, times iterations."""
    times = sorted(line["time"] for line in lines if isinstance(line.get("time"), (int, float)))
    if not times:
        return ""
    return f"about {duration(times[len(times) // 2] * (lines[-1]['iteration'] + 1))}"


def _text(value: Any, applies: bool = True) -> str:
    return "" if value is None or not applies else str(value)


def _versions() -> list[tuple[str, str]]:
    found = [("Python", platform.python_version())]
    for package in _PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return found
