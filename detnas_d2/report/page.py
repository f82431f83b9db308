"""The report: one HTML page that opens from disk with no network, and its charts as PNG files."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment, PackageLoader

from .. import __version__
from ..durations import duration
from ..errors import DetNASError
from ..files import write_atomically
from .folders import StepFolder, is_step, read_step, related_steps, steps_in
from .search_folder import read_search
from .search_part import search_part
from .style import COLOURS, Chart, chart_style
from .texts import attempt
from .training_chart import metric_names, training_chart

_CHARTS = re.compile(
    r"^training_.*\.png$|(^|_)(fitness(_[a-z]+)?|network|top_choices|generations|ranking|detections)\.png$"
)
_SCORED_BY = {"supernet": "supernet", "training": "short training", "none": "record"}
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
    folder = root / "report"
    if folder.is_symlink():
        raise ReportError(
            f"{str(folder)!r} is a link, and files of a report are written and removed there; "
            "remove the link."
        )
    problems: list[str] = []
    steps = _steps(root, problems)
    searches = {s.name: read_search(s) for s in steps if s.kind == "search"}
    folder.mkdir(exist_ok=True)
    for png in folder.glob("*.png"):
        if _CHARTS.search(png.name):  # of an earlier report
            png.unlink()
    with chart_style():
        parts = [
            search_part(r, folder, f"{name}_" if len(searches) > 1 else "")
            for name, r in searches.items()
        ]
        charts = [(s.name, _curves(s, folder, problems)) for s in steps if s.kind != "search"]
    if not parts:
        parts = [{"name": root.name, "state": "missing", "headline": "No search here."}]
        parts[0]["missing"] = _NO_SEARCH
    rows = []
    for s in steps:
        search, reached = searches.get(s.name), ""
        if search and search.told and search.ranked:
            scored = _SCORED_BY.get(search.told.weights, "supernet")
            reached = f"{search.told.metric} {search.ranked[0].fitness:.2f} ({scored})"
        default = {"name": s.name, "kind": s.kind}
        failure = f"The row of {s.name} could not be made"
        rows.append(attempt(failure, partial(_row, s, reached), default, problems))
    problems += [f"{s.name}: {p}" for s in steps if s.kind != "search" for p in s.problems]
    loader = PackageLoader("detnas_d2.report", ".")
    jinja = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    text = jinja.get_template("template.html").render(
        title=root.resolve().name,
        folder=str(root.resolve()),
        written=time.strftime("%Y-%m-%d %H:%M"),
        version=__version__,
        colours=COLOURS,
        searches=parts,
        trainings=[(name, chart) for name, chart in charts if chart is not None],
        steps=rows,
        problems=problems,
        below=[]
        if steps
        else [p.name for p in sorted(root.iterdir()) if p.is_dir() and steps_in(p)],
    )
    page = folder / "index.html"
    write_atomically(page, text)
    return page


def _steps(root: Path, problems: list[str]) -> list[StepFolder]:
    """The folder with what belongs to it, or the steps in it."""
    if not is_step(root):
        return steps_in(root)
    step = read_step(root)
    if step.kind != "search":
        return [step]
    failure = "The list of its trainings could not be made"
    return attempt(failure, lambda: related_steps(step), [step], problems)


def _curves(step: StepFolder, folder: Path, problems: list[str]) -> Chart | None:
    def draw() -> Chart | None:
        return training_chart(step.metrics, step.name, folder / f"training_{step.name}.png")

    return attempt(f"The curves of {step.name} could not be made", draw, None, problems)


def _row(step: StepFolder, reached: str) -> dict[str, Any]:
    """Of the table of steps. reached: the best fitness, of a search."""
    lines, is_training = step.metrics, step.kind == "train"
    if step.evaluation is not None:
        reached = _result([step.evaluation]) or "no metrics"
    elif not reached:
        reached = _result(lines)
    scored_on = step.setting("dataloader.test.dataset.names")  # validation and test are not alike
    if step.evaluation is not None:
        scored_on = step.setting("dataloader.final_test") or scored_on
    if reached and isinstance(scored_on, str):
        reached += f" on {scored_on}"
    iterations = step.setting("train.max_iter") if is_training else None
    done = max((line["iteration"] + 1 for line in lines), default=0)
    count = ""
    if type(iterations) is int:  # no text, no interpolation
        count = f"{done:,} of {iterations:,}" if 0 < done < iterations else f"{iterations:,}"
    checkpoint = Path(str(step.setting("train.init_checkpoint") or ""))
    return {
        "name": step.name,
        "kind": step.kind,
        "iterations": count,
        "batch": step.setting("dataloader.train.total_batch_size") if is_training else None,
        "seed": step.setting(f"{'search' if step.kind == 'search' else 'train'}.seed"),
        "device": step.setting("train.device"),
        "checkpoint": checkpoint.parent.name or checkpoint.name,
        "result": reached,
        "seconds": _estimated(lines) if step.seconds is None else duration(step.seconds),
    }


def _result(lines: Sequence[Mapping[str, Any]]) -> str:
    """The last value of the main metric."""
    for name in metric_names(lines)[:1]:
        value = [line[name] for line in lines if name in line][-1]
        return f"{name} {value:.2f}" if isinstance(value, (int, float)) else ""
    return ""


def _estimated(lines: Sequence[dict[str, Any]]) -> str:
    """Of a training that nobody timed: the median time of an iteration, times iterations."""
    times = [line["time"] for line in lines if isinstance(line.get("time"), (int, float))]
    return f"about {duration(median(times) * (lines[-1]['iteration'] + 1))}" if times else ""
