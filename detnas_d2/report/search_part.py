"""The part of the page that tells of one search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from ..driver.commands import Retraining
from ..durations import duration
from ..search import Evaluation, rank
from ..space import Architecture, CostTable
from .boxes import Detections, read_detections
from .commands import retrainings_of
from .folders import CONFIG, LEDGER
from .network_chart import baseline_of, network_chart
from .search_charts import cost_chart, fitness_chart, generations_chart, top_choices_chart
from .search_folder import SearchRecord, front_of
from .stage_table import stage_rows
from .style import Chart
from .texts import attempt, flatten, millions

_NO_CANDIDATE = (
    "No candidate was evaluated yet. search_net.py writes one line to ledger.jsonl for each."
)
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
    stages: list[dict[str, Any]] = field(default_factory=list)
    fitness: Chart | None = None
    costs: list[Chart] = field(default_factory=list)
    missing_costs: list[str] = field(default_factory=list)
    metric_names: list[str] = field(default_factory=list)
    top: list[dict[str, Any]] = field(default_factory=list)
    front: list[dict[str, Any]] = field(default_factory=list)
    front_costs: list[str] = field(default_factory=list)
    top_choices: Chart | None = None
    generations: Chart | None = None
    detections: Detections | None = None
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
        record.step.name, record.state, _headline(record), record.metric, list(record.notes)
    )
    attempt("What was run", lambda: _add_run(part, record), None, part.notes)
    if not record.evaluations:
        part.missing = _NO_CANDIDATE if record.space is not None else _why_unread(record)
        part.missing_detections = part.missing
        return part
    evaluations = record.evaluations
    errors = Counter(e.error or "" for e in record.failed)
    part.failed = [
        (error, count, str(next(e for e in record.failed if e.error == error).architecture))
        for error, count in errors.most_common()
    ]
    part.generations = attempt(
        "The chart of generations",
        lambda: generations_chart(evaluations, png("generations")),
        None,
        part.notes,
    )
    best = record.best
    if best is None:
        part.missing = part.missing_detections = _ALL_FAILED
        return part
    part.architecture = str(best.architecture)
    for what, add in (
        ("The commands and the tables of networks", _add_tables),
        ("The chart of fitness", _add_fitness),
        ("The chart of choices", _add_choices),
        ("Fitness against cost", _add_costs),
        ("The best network beside the baseline", _add_network),
        ("Detections", _add_detections),
    ):
        attempt(what, partial(add, part, record, best, png), None, part.notes)
    return part


Png = Callable[[str], Path]


def _add_tables(part: SearchPart, record: SearchRecord, best: Evaluation, png: Png) -> None:
    none: list[Retraining] = []
    steps = attempt("The commands", lambda: retrainings_of(record), none, part.notes)
    part.commands = [step.command(str(best.architecture)) for step in steps]
    part.in_order = any(step.checkpoint for step in steps)
    part.metric_names = _other_metrics(record.evaluations, record.metric)
    ranked = rank(record.evaluations)
    part.top = [_row(e, part, steps, i) for i, e in enumerate(ranked[:10], start=1)]
    _add_front(part, record, steps, {e.architecture: i for i, e in enumerate(ranked, start=1)})


def _add_fitness(part: SearchPart, record: SearchRecord, best: Evaluation, png: Png) -> None:
    part.fitness = fitness_chart(record.evaluations, record.metric, png("fitness"))


def _add_choices(part: SearchPart, record: SearchRecord, best: Evaluation, png: Png) -> None:
    part.top_choices = top_choices_chart(record.evaluations, png("top_choices"))


def _add_costs(part: SearchPart, record: SearchRecord, best: Evaluation, png: Png) -> None:
    costs, part.missing_costs = record.costs()
    for c in costs:
        chart = cost_chart(record.evaluations, c, record.metric, png(f"fitness_{c.name}"))
        part.costs.append(chart)


def _add_network(part: SearchPart, record: SearchRecord, best: Evaluation, png: Png) -> None:
    table = CostTable(best.architecture.space, record.input_size)
    part.facts = _facts(record, best, table)
    part.stages = stage_rows(best.architecture, table)
    part.network = network_chart(best.architecture, table, png("network"))


def _headline(record: SearchRecord) -> str:
    done, total = len(record.evaluations), record.total
    of = f"{done:,} of {total:,}" if total is not None else f"{done:,}"
    seconds = record.last_written
    ago = "" if seconds is None else duration(max(round(seconds), 1))
    if record.state == "finished":
        early = " (it ended early; log.txt says why)" if total is not None and done < total else ""
        return f"Finished: {of} candidates{early}."
    if record.state == "running":
        return f"Running, {of} candidates; the last one {ago} ago."
    if not ago:
        return "Not begun: there is no ledger.jsonl."
    return f"Stopped, {of} candidates; the last one {ago} ago. search_net.py --resume goes on."


def _why_unread(record: SearchRecord) -> str:
    if not (record.step.path / LEDGER).is_file():
        return _NO_CANDIDATE
    reason = " ".join(record.notes) or f"There is no {CONFIG}."
    return f"{LEDGER} can't be read without the space that was searched. {reason}"


def _facts(record: SearchRecord, best: Evaluation, table: CostTable) -> list[tuple[str, str, str]]:
    ok = [e for e in record.evaluations if e.fitness is not None]
    first = [e.fitness for e in ok if e.generation == 0 and e.fitness is not None]
    base = baseline_of(best.architecture)
    height, width = record.input_size
    limit = record.step.setting("search.flops_limit")
    fitness = best.fitness if best.fitness is not None else 0.0
    gain = f"{fitness - fmean(first):+.2f} over the mean of generation 0" if first else ""
    limited = f"limit {millions(limit)}\u00a0M" if isinstance(limit, (int, float)) else "no limit"
    seconds = sum(e.seconds for e in record.evaluations)
    return [
        ("Best fitness", f"{fitness:.2f}", f"{record.metric}; {gain}" if gain else record.metric),
        ("Multiply-adds", f"{millions(best.flops)}\u00a0M", f"at {height}×{width}; {limited}"),
        (
            "Parameters",
            f"{best.params / 1e6:.3f}\u00a0M",
            f"backbone; baseline {table.params(base) / 1e6:.3f}\u00a0M",
        ),
        ("Candidates", f"{len(record.evaluations):,}", f"{len(record.failed):,} failed"),
        (
            "A candidate takes",
            duration(seconds / len(record.evaluations)),
            f"mean; {duration(seconds)} in all",
        ),
    ]


def _other_metrics(evaluations: Iterable[Evaluation], metric: str) -> list[str]:
    names = dict.fromkeys(name for e in evaluations for name in e.metrics if name != metric)
    return list(names)[:3]


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


def _add_front(
    part: SearchPart,
    record: SearchRecord,
    steps: Sequence[Retraining],
    places: Mapping[Architecture, int],
) -> None:
    by_choices = {e.architecture.choices: e for e in record.evaluations}
    front, problem = front_of(record.step)
    if problem is not None:
        part.notes.append(problem)
    for entry in front:
        choices = tuple(c for c in entry["architecture"] if isinstance(c, int))
        found = by_choices.get(choices)
        if found is not None and found.ok:
            costs = {
                k: v
                for k, v in entry.items()
                if k not in ("architecture", "fitness", "flops", "params")
                and isinstance(v, (int, float))
            }
            part.front_costs = part.front_costs or list(costs)
            row = _row(found, part, steps, places[found.architecture])
            part.front.append({**row, "costs": [f"{v:,.4g}" for v in costs.values()]})


def _add_detections(part: SearchPart, record: SearchRecord, best: Evaluation, png: Png) -> None:
    part.missing_detections = "Detections could not be drawn."
    part.detections = read_detections(record.step.path, png("detections"))
    if part.detections is not None:
        return
    if not record.metric.startswith("bbox/"):
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
