"""The report: one HTML page that opens from disk with no network, and its charts as PNG files."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..durations import duration
from ..errors import DetNASError
from ..files import write_atomically
from .folders import StepFolder, is_step, read_step, related_steps, steps_in
from .search_folder import SearchRecord, read_search
from .search_part import SearchPart, search_part
from .style import Chart, chart_style
from .texts import attempt
from .training_chart import metric_names, training_chart

FOLDER, PAGE = "report", "index.html"
_MOST_SEARCHES, _MOST_TRAININGS = 6, 12
_CHARTS = re.compile(
    r"^training_.*\.png$|(^|_)(fitness(_[a-z]+)?|network|top_choices|generations|detections)\.png$"
)
_COLUMNS = ("iterations", "batch", "seed", "device", "checkpoint", "result", "seconds")
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
        ReportError: there is no such folder, or the report in it is a link to elsewhere.
        OSError: the report can't be written.
    """
    root = Path(output)
    if not root.is_dir():
        raise ReportError(
            f"There is no folder {str(root)!r}; give the output folder of a search (its "
            "train.output_dir), or the folder that holds those of several steps."
        )
    folder = root / FOLDER
    if folder.is_symlink():
        raise ReportError(
            f"{str(folder)!r} is a link, and files of a report are written and removed there; "
            "remove the link."
        )
    problems: list[str] = []
    steps = _steps(root, problems)
    searches = [s for s in steps if s.kind == "search"]
    records = [read_search(s) for s in searches[:_MOST_SEARCHES]]
    folder.mkdir(exist_ok=True)
    for png in folder.glob("*.png"):
        if _CHARTS.search(png.name):  # of an earlier report
            png.unlink()
    with chart_style():
        parts = [
            search_part(r, _png(folder, r.step.name if len(searches) > 1 else "")) for r in records
        ]
        trainings = [(s, s.metrics) for s in steps if s.metrics and s.kind != "search"]
        charts = _training_charts(trainings, folder, problems)
    if not parts:
        parts = [SearchPart(root.resolve().name, "missing", "No search here.", "", [], _NO_SEARCH)]
        parts[0].missing_detections = _NO_SEARCH
    rows = [
        attempt(
            f"The row of {s.name}",
            partial(_row, s, next((r for r in records if r.step is s), None)),
            {**dict.fromkeys(_COLUMNS, ""), "name": s.name, "kind": s.kind or "unknown"},
            problems,
        )
        for s in steps
    ]
    problems += [f"{s.name}: {p}" for s in steps if s.kind != "search" for p in s.problems]
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
        steps=rows,
        problems=problems,
        below=[] if steps else [p.name for p in sorted(root.iterdir()) if steps_in(p)],
    )
    page = folder / PAGE
    write_atomically(page, text)
    return page


def _steps(root: Path, problems: list[str]) -> list[StepFolder]:
    """The folder with what belongs to it, or the steps in it."""
    if not is_step(root):
        return steps_in(root)
    step = read_step(root)
    if step.kind != "search":
        return [step]
    return attempt("The list of its trainings", lambda: related_steps(step), [step], problems)


def _png(folder: Path, search: str) -> Callable[[str], Path]:
    return lambda name: folder / (f"{search}_{name}.png" if search else f"{name}.png")


def _training_charts(
    trainings: Sequence[tuple[StepFolder, list[dict[str, Any]]]],
    folder: Path,
    problems: list[str],
) -> list[tuple[str, Chart]]:
    drawn = [
        (
            s.name,
            attempt(
                f"The curves of {s.name}",
                partial(training_chart, lines, s.name, folder / f"training_{s.name}.png"),
                None,
                problems,
            ),
        )
        for s, lines in trainings[:_MOST_TRAININGS]
    ]
    return [(name, chart) for name, chart in drawn if chart is not None]


def _row(step: StepFolder, search: SearchRecord | None) -> dict[str, Any]:
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
    elif search is not None and search.best is not None:
        result = f"{search.metric} {search.best.fitness:.2f} (supernet)"
    scored_on = step.setting("dataloader.test.dataset.names")  # validation and test are not alike
    if step.evaluation is not None:
        scored_on = step.setting("dataloader.final_test") or scored_on
    if result and isinstance(scored_on, str):
        result += f" on {scored_on}"
    estimated = _estimated(lines) if search is None else _estimated_search(search)
    iterations = step.setting("train.max_iter") if step.kind == "train" else None
    iterations = iterations if type(iterations) is int else None  # a text, an interpolation
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
        "seconds": duration(step.seconds) if step.seconds is not None else estimated,
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


def _estimated_search(search: SearchRecord) -> str:
    """Of a search that nobody timed: its candidates' time, shared by the workers."""
    seconds = sum(e.seconds for e in search.evaluations)
    workers = search.step.setting("search.executor.workers")
    workers = workers if isinstance(workers, int) and workers > 0 else 1
    return f"about {duration(seconds / workers)}" if seconds else ""


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
