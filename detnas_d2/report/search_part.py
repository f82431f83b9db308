"""The part of the page that tells of one search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from ..driver.retraining import Retraining
from ..durations import duration
from ..search import Evaluation, rank
from .boxes import read_detections
from .network_chart import network_chart, stage_rows
from .search_charts import cost_chart, fitness_chart, generations_chart, top_choices_chart
from .search_file import FLOPS_ALONE
from .search_folder import SearchRecord, front_of
from .style import Chart
from .texts import attempt, flatten, millions

_NO_CANDIDATE = (
    "No candidate was evaluated yet. search_net.py writes one line to ledger.jsonl for each."
)
_OF_A_ROW = ("architecture", "fitness", "flops", "params")
_ALL_FAILED = (
    "All candidates failed so far; their errors are below. Mend the cause, then go on with "
    "python search_net.py --config-file … --resume --retry-failed."
)


@dataclass
class SearchPart:
    """What the template shows of a search; a chart that can't be drawn is None.

    missing: why there are no charts. facts: (name, figure, unit or remark). stages, top, front:
    rows of tables, each with a "command" of its own. commands: train the best.
    in_order: one of the commands reads what another writes.
    """

    name: str
    state: str
    headline: str
    metric: str
    notes: list[str]
    missing: str | None = None
    facts: list[tuple[str, str, str]] = field(default_factory=list)
    architecture: str | None = None
    commands: list[str] = field(default_factory=list)
    in_order: bool = False
    network: Chart | None = None
    missing_network: str | None = None
    stages: list[dict[str, Any]] = field(default_factory=list)
    fitness: Chart | None = None
    costs: list[Chart] = field(default_factory=list)
    metric_names: list[str] = field(default_factory=list)
    top: list[dict[str, Any]] = field(default_factory=list)
    front: list[dict[str, Any]] = field(default_factory=list)
    front_costs: list[str] = field(default_factory=list)
    top_choices: Chart | None = None
    generations: Chart | None = None
    detections: dict[str, Any] | None = None
    missing_detections: str = ""
    failed: list[tuple[str, int, str]] = field(default_factory=list)
    run: list[tuple[str, str]] = field(default_factory=list)
    header: list[tuple[str, str]] = field(default_factory=list)
    settings: list[tuple[str, str]] = field(default_factory=list)
    config: str = ""


def search_part(record: SearchRecord, png: Callable[[str], Path]) -> SearchPart:
    """Draw and count everything of a search.

    Args:
        png: gives the file of a chart's name.

    Raises:
        OSError: a chart can't be written.
    """
    part = SearchPart(
        record.step.name, record.state, record.headline, record.metric, list(record.notes)
    )
    attempt("What was run", lambda: _add_run(part, record), None, part.notes)
    if not record.evaluations:
        part.missing = part.missing_detections = _NO_CANDIDATE
        return part
    best = record.best
    drawing: list[tuple[str, Callable[..., None]]] = [("The failed candidates", _add_failed)]
    if best is None:
        part.missing = part.missing_detections = _ALL_FAILED
    else:
        part.architecture = str(best.architecture)
        drawing += [
            ("The commands and the tables of networks", _add_tables),
            ("The chart of fitness", _add_fitness),
            ("The chart of choices", _add_choices),
            ("Fitness against cost", _add_costs),
            ("The best network beside the baseline", _add_network),
            ("Detections", _add_detections),
        ]
    for what, add in (*drawing, ("The chart of generations", _add_generations)):
        attempt(what, partial(add, part, record, png), None, part.notes)
    return part


Png = Callable[[str], Path]


def _add_failed(part: SearchPart, record: SearchRecord, png: Png) -> None:
    first = {e.error: str(e.architecture) for e in reversed(record.failed)}
    errors = Counter(e.error for e in record.failed)
    part.failed = [(str(error), n, first[error]) for error, n in errors.most_common()]


def _add_tables(part: SearchPart, record: SearchRecord, png: Png) -> None:
    steps = record.told.retrain if record.told is not None else ()
    part.commands = [step.command(str(part.architecture)) for step in steps]
    part.in_order = any(step.checkpoint for step in steps)
    names = dict.fromkeys(n for e in record.evaluations for n in e.metrics if n != record.metric)
    part.metric_names = list(names)[:3]
    ranked = rank(record.evaluations)
    part.top = [_row(e, part, steps, i) for i, e in enumerate(ranked[:10], start=1)]
    front, problem = front_of(record.step)
    part.notes += [problem] if problem else []
    places = {e.architecture.choices: i for i, e in enumerate(ranked)}
    for entry in front:
        place = places.get(tuple(c for c in entry["architecture"] if isinstance(c, int)))
        if place is not None:
            part.front_costs = part.front_costs or [k for k in entry if k not in _OF_A_ROW]
            row = _row(ranked[place], part, steps, place + 1)
            costs = [entry.get(k) for k in part.front_costs]
            texts = [f"{v:,.4g}" if isinstance(v, (int, float)) else "" for v in costs]
            part.front.append({**row, "costs": texts})


def _add_fitness(part: SearchPart, record: SearchRecord, png: Png) -> None:
    part.fitness = fitness_chart(record.evaluations, record.metric, png("fitness"))


def _add_choices(part: SearchPart, record: SearchRecord, png: Png) -> None:
    stages = record.told.stages[1:] if record.told is not None else ()
    part.top_choices = top_choices_chart(record.evaluations, stages, png("top_choices"))


def _add_generations(part: SearchPart, record: SearchRecord, png: Png) -> None:
    part.generations = generations_chart(record.evaluations, png("generations"))


def _add_costs(part: SearchPart, record: SearchRecord, png: Png) -> None:
    """Multiply-adds, and every other cost that the search limits or weighs."""
    told = record.told.costs.values() if record.told is not None else [FLOPS_ALONE]
    for cost in told:
        if cost.name != "params" or cost.limit is not None or cost.is_weighed:
            file = png(f"fitness_{cost.name}")
            part.costs.append(cost_chart(record.evaluations, cost, record.metric, file))


def _add_network(part: SearchPart, record: SearchRecord, png: Png) -> None:
    best = record.best
    assert best is not None
    part.facts = _facts(record, best)
    if record.told is None:
        part.missing_network = "The costs of its blocks are not known without search.json."
        return
    part.stages = stage_rows(best.architecture, record.told)
    part.network = network_chart(best.architecture, record.told, png("network"))


def _facts(record: SearchRecord, best: Evaluation) -> list[tuple[str, str, str]]:
    first = [e.fitness for e in record.evaluations if e.generation == 0 and e.fitness is not None]
    fitness = best.fitness if best.fitness is not None else 0.0
    gain = f"; {fitness - fmean(first):+.2f} over the mean of generation 0" if first else ""
    counted = base = ""
    if record.told is not None:
        flops, params = record.told.costs["flops"], record.told.costs["params"]
        limit = f"limit {millions(flops.limit)}\u00a0M" if flops.limit is not None else "no limit"
        counted = f"at {record.told.input_size[0]}×{record.told.input_size[1]}; {limit}"
        base = f"; baseline {millions(params(record.told.baseline))}\u00a0M"
    seconds = sum(e.seconds for e in record.evaluations)
    mean = duration(seconds / len(record.evaluations))
    return [
        ("Best fitness", f"{fitness:.2f}", record.metric + gain),
        ("Multiply-adds", f"{millions(best.flops)}\u00a0M", counted),
        ("Parameters", f"{millions(best.params)}\u00a0M", f"backbone{base}"),
        ("Candidates", f"{len(record.evaluations):,}", f"{len(record.failed):,} failed"),
        ("A candidate takes", mean, f"mean; {duration(seconds)} in all"),
    ]


def _row(
    evaluation: Evaluation, part: SearchPart, steps: Sequence[Retraining], place: int
) -> dict[str, Any]:
    """Of a table; all but the best are trained in folders that end with their place."""
    figures = [evaluation.metrics.get(name) for name in part.metric_names]
    architecture = str(evaluation.architecture)
    suffix = f"_{place}" if place > 1 else ""
    return {
        "fitness": f"{evaluation.fitness:.3f}",
        "metrics": ["none" if f is None else f"{f:.2f}" for f in figures],
        "flops": millions(evaluation.flops),
        "params": f"{evaluation.params / 1e6:.3f}",
        "generation": evaluation.generation,
        "seconds": f"{evaluation.seconds:.1f}",
        "architecture": architecture,
        "command": "\n".join(step.command(architecture, suffix) for step in steps),
    }


def _add_detections(part: SearchPart, record: SearchRecord, png: Png) -> None:
    with suppress(Exception):  # whatever the file holds
        part.detections = read_detections(record.step.path, png("detections"))
        return
    if record.metric.startswith("classification/"):
        part.missing_detections = (
            f"The fitness of this search is {record.metric}: a classifier finds no boxes."
        )
    elif not record.is_finished:
        part.missing_detections = "search_net.py writes detections.json when the search ends."
    else:
        part.missing_detections = (
            "There is no detections.json that could be read. A finished search writes it anew with "
            "python search_net.py --config-file … --resume; log.txt says why it could not."
        )


def _add_run(part: SearchPart, record: SearchRecord) -> None:
    runs = record.runs()
    total = f" of {record.total:,}" if record.total is not None else ""
    part.run = [
        ("Folder", str(record.step.path.resolve())),
        ("Candidates evaluated", f"{len(record.evaluations):,}{total}"),
        ("Failed", f"{len(record.failed):,}"),
        ("Candidates' time in all", duration(sum(e.seconds for e in record.evaluations))),
    ]
    if runs is not None:
        part.run.insert(1, ("Started", f"{runs[0]:,} times" if runs[0] != 1 else "once"))
        part.run.insert(3, ("Answered by the ledger at the last start", f"{runs[1]:,}"))
    if record.step.seconds is not None:
        part.run.append(("Wall time", duration(record.step.seconds)))
    part.header = [(k, str(v)) for k, v in flatten(record.header)]
    search = record.step.setting("search")
    part.settings = [(k, str(v)) for k, v in flatten(search if isinstance(search, dict) else {})]
    if record.step.config:
        part.config = yaml.safe_dump(dict(record.step.config), allow_unicode=True, sort_keys=False)
