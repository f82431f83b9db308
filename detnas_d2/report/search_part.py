"""The part of the page that tells of one search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from ..durations import duration
from ..files import parse_json
from ..ranking import RANKING_FILE
from ..search import Evaluation
from ..search.results import FRONT_FILE
from .boxes import read_detections
from .network_chart import network_chart, stage_rows
from .ranking_part import ranking_part
from .search_charts import cost_chart, fitness_chart, generations_chart, top_choices_chart
from .search_file import SearchFile
from .search_folder import SearchRecord
from .texts import attempt, millions

_NO_CANDIDATE = (
    "No candidate was evaluated yet. search_net.py writes one line to ledger.jsonl for each."
)
_OF_A_ROW = ("architecture", "fitness", "flops", "params")
_ALL_FAILED = (
    "All candidates failed so far; their errors are below. Mend the cause, then go on with "
    "python search_net.py --config-file … --resume --retry-failed."
)
Values = dict[str, Any]


def search_part(record: SearchRecord, folder: Path, start: str) -> Values:
    """Draw and count everything of a search.

    Args:
        start: of the names of the PNG files, which are written to `folder`.

    Returns:
        what template.html shows of it; what could not be made is missing, and ``notes`` says why.
        ``missing``: why there are no charts.
    """
    (state, headline), notes, told = record.state(), list(record.notes), record.told
    part: Values = {"name": record.step.name, "state": state, "headline": headline, "notes": notes}

    def png(name: str) -> Path:
        return folder / f"{start}{name}.png"

    def add(what: str, make: Callable[[], Values]) -> None:
        nothing: Values = {}
        part.update(attempt(f"{what} could not be made", make, nothing, notes))

    add("What was run", lambda: _run(record))
    if told is None or not record.evaluations:
        return {**part, "missing": _NO_CANDIDATE if told else headline}
    all_, ranked, metric = record.evaluations, record.ranked, told.metric
    add("The failed candidates", lambda: {"failed": _failed(all_)})
    add(
        "Choices by generation",
        lambda: {"generations": generations_chart(all_, png("generations"))},
    )
    if not ranked:
        return {**part, "missing": _ALL_FAILED}
    part["weights"] = told.weights
    best, stages = ranked[0].architecture, told.stages[1:]
    costs = [  # multiply-adds, and every other cost that the search limits or weighs
        cost
        for cost in told.costs.values()
        if cost.name != "params" or cost.limit is not None or cost.is_weighed
    ]
    add("The best network", lambda: _best(record, told))
    add("The table of networks", lambda: _top(record, told))
    add(f"The front in {FRONT_FILE}", lambda: _front(record, told))
    add("The chart of fitness", lambda: {"fitness": fitness_chart(all_, metric, png("fitness"))})
    add(
        "Choices of the best",
        lambda: {"top_choices": top_choices_chart(ranked, stages, png("top_choices"))},
    )
    add(
        "Fitness against cost",
        lambda: {"costs": [cost_chart(ranked, c, metric, png(f"fitness_{c.name}")) for c in costs]},
    )
    add("Costs by stage", lambda: {"stages": stage_rows(best, told)})
    add("The network's chart", lambda: {"network": network_chart(best, told, png("network"))})
    add(f"The ranking in {RANKING_FILE}", lambda: ranking_part(record.step.path, png("ranking")))
    add("Detections", lambda: _detections(record, told, png("detections")))
    return part


def _run(record: SearchRecord) -> Values:
    rows = [
        ("Folder", str(record.step.path)),
        ("Candidates evaluated", f"{len(record.evaluations):,}"),
        ("Failed", f"{len(record.evaluations) - len(record.ranked):,}"),
        ("Candidates' time in all", duration(record.seconds)),
    ]
    if (starts := record.starts()) is not None:
        rows.insert(1, ("Started", f"{starts[0]:,} times" if starts[0] != 1 else "once"))
        rows.insert(3, ("Answered by the ledger at the last start", f"{starts[1]:,}"))
    if record.step.seconds is not None:
        rows.append(("Wall time", duration(record.step.seconds)))
    header, config = (
        yaml.safe_dump(dict(values), allow_unicode=True, sort_keys=False) if values else ""
        for values in (record.header, record.step.config)
    )
    return {"run": rows, "header": header, "config": config}


def _failed(evaluations: Sequence[Evaluation]) -> list[tuple[str | None, int, str]]:
    """Errors, the most frequent first, how often each was, and the first architecture with it."""
    failed = [e for e in evaluations if not e.ok]
    first = {e.error: str(e.architecture) for e in reversed(failed)}
    return [(error, n, first[error]) for error, n in Counter(e.error for e in failed).most_common()]


def _best(record: SearchRecord, told: SearchFile) -> Values:
    best, flops, params = record.ranked[0], told.costs["flops"], told.costs["params"]
    first = [e.fitness for e in record.ranked if e.generation == 0 and e.fitness is not None]
    fitness = best.fitness or 0.0
    gain = f"; {fitness - fmean(first):+.2f} over the mean of generation 0" if first else ""
    limit = f"limit {millions(flops.limit)}\u00a0M" if flops.limit is not None else "no limit"
    base = millions(params(told.baseline))
    count, seconds = len(record.evaluations), record.seconds
    return {
        "architecture": str(best.architecture),
        "commands": [step.command(str(best.architecture)) for step in told.retrain],
        "in_order": any(step.checkpoint for step in told.retrain),
        "facts": [  # name, figure, unit or remark
            ("Best fitness", f"{fitness:.2f}", told.metric + gain),
            ("Multiply-adds", f"{millions(best.flops)}\u00a0M", f"at {told.input_size}; {limit}"),
            ("Parameters", f"{millions(best.params)}\u00a0M", f"backbone; baseline {base}\u00a0M"),
            ("Candidates", f"{count:,}", f"{count - len(record.ranked):,} failed"),
            ("A candidate takes", duration(seconds / count), f"mean; {duration(seconds)} in all"),
        ],
    }


def _top(record: SearchRecord, told: SearchFile) -> Values:
    return {
        "metric": told.metric,
        "metric_names": _metric_names(record, told),
        "top": [_row(place, record, told) for place in range(min(10, len(record.ranked)))],
    }


def _front(record: SearchRecord, told: SearchFile) -> Values:
    """The front that a Pareto search wrote, with the costs that it weighed."""
    file = record.step.path / FRONT_FILE
    entries = parse_json(file.read_bytes())["front"] if file.exists() else []
    places = {e.architecture.choices: place for place, e in enumerate(record.ranked)}
    names = [key for key in entries[0] if key not in _OF_A_ROW] if entries else []
    rows = []
    for entry in entries:
        costs = [f"{entry[name]:,.4g}" for name in names]
        rows.append({**_row(places[tuple(entry["architecture"])], record, told), "costs": costs})
    return {"front": rows, "front_costs": names}


def _metric_names(record: SearchRecord, told: SearchFile) -> list[str]:
    names = (name for e in record.evaluations for name in e.metrics if name != told.metric)
    return list(dict.fromkeys(names))[:3]


def _row(place: int, record: SearchRecord, told: SearchFile) -> Values:
    """Of a table; all but the best are trained in folders that end with their place, from 1."""
    evaluation = record.ranked[place]
    figures = [evaluation.metrics.get(name) for name in _metric_names(record, told)]
    architecture = str(evaluation.architecture)
    suffix = f"_{place + 1}" if place else ""
    return {
        "fitness": f"{evaluation.fitness:.3f}",
        "metrics": ["none" if f is None else f"{f:.2f}" for f in figures],
        "flops": millions(evaluation.flops),
        "params": f"{evaluation.params / 1e6:.3f}",
        "generation": evaluation.generation,
        "seconds": f"{evaluation.seconds:.1f}",
        "architecture": architecture,
        "command": "\n".join(step.command(architecture, suffix) for step in told.retrain),
    }


def _detections(record: SearchRecord, told: SearchFile, png: Path) -> Values:
    with suppress(Exception):  # there is none, or whatever it holds
        return {"detections": read_detections(record.step.path, png)}
    if told.metric.startswith("classification/"):
        reason = f"The fitness of this search is {told.metric}: a classifier finds no boxes."
    elif told.weights == "training":
        reason = "Candidates were trained for this search, and the weights of the best are gone."
    elif told.weights == "none":
        reason = "No network ran in this search: fitness was looked up."
    elif record.state()[0] != "finished":
        reason = "search_net.py writes detections.json when the search ends."
    else:
        reason = (
            "There is no detections.json that could be read. A finished search writes it anew with "
            "python search_net.py --config-file … --resume; log.txt says why it could not."
        )
    return {"missing_detections": reason}
