"""The part of the page that tells of one search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml
from omegaconf.errors import OmegaConfBaseException

import detnas_d2

from ..driver.commands import retrain_commands
from ..engine import backbone_key
from ..errors import DetNASError
from ..search import Evaluation, rank
from ..space import CostTable
from .boxes import Detections, read_detections
from .folders import CONFIG, LEDGER
from .network_chart import baseline_of, network_chart
from .search_charts import cost_chart, fitness_chart, generations_chart, top_choices_chart
from .search_folder import SearchRecord, front_of
from .stage_table import stage_rows
from .style import Chart
from .texts import duration, flatten, millions

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
    rows of tables. commands: train the best; COMMAND of a row: with ARCHITECTURE in it.
    """

    name: str
    state: str
    headline: str
    metric: str
    notes: Sequence[str]
    missing: str | None = None
    facts: list[tuple[str, str, str]] = field(default_factory=list)
    architecture: str | None = None
    commands: list[str] = field(default_factory=list)
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
        record.step.name, record.state, _headline(record), record.metric, record.notes
    )
    _add_run(part, record)
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
    if record.space is not None and evaluations:
        part.generations = generations_chart(evaluations, png("generations"))
    best = record.best
    if best is None:
        part.missing = part.missing_detections = _ALL_FAILED
        return part
    part.architecture = str(best.architecture)
    part.commands = _commands(record, part.architecture)
    part.fitness = fitness_chart(evaluations, record.metric, png("fitness"))
    part.top_choices = top_choices_chart(evaluations, png("top_choices"))
    costs, part.missing_costs = record.costs()
    part.costs = [
        cost_chart(evaluations, c, record.metric, png(f"fitness_{c.name}")) for c in costs
    ]
    table = CostTable(best.architecture.space, record.input_size)
    part.network = network_chart(best.architecture, table, png("network"))
    part.stages = stage_rows(best.architecture, table)
    part.facts = _facts(record, best, table)
    part.metric_names = _other_metrics(evaluations, record.metric)
    part.top = [_row(e, part) for e in rank(evaluations)[:10]]
    _add_front(part, record)
    _add_detections(part, record, png)
    return part


def _headline(record: SearchRecord) -> str:
    done, total = len(record.evaluations), record.total
    of = f"{done:,} of {total:,}" if total is not None else f"{done:,}"
    ago = (
        duration(max(round(record.last_written), 1))
        if (record.step.path / LEDGER).is_file()
        else ""
    )
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


def _row(evaluation: Evaluation, part: SearchPart) -> dict[str, Any]:
    figures = [evaluation.metrics.get(name) for name in part.metric_names]
    architecture = str(evaluation.architecture)
    return {
        "fitness": f"{evaluation.fitness:.3f}",
        "metrics": ["none" if f is None else f"{f:.2f}" for f in figures],
        "flops": millions(evaluation.flops),
        "params": f"{evaluation.params / 1e6:.3f}",
        "generation": evaluation.generation,
        "seconds": f"{evaluation.seconds:.1f}",
        "architecture": architecture,
        "command": _with(part, architecture),
    }


def _with(part: SearchPart, architecture: str) -> str:
    """The commands that train another architecture than the best."""
    best = f"architecture={part.architecture}"
    return "\n".join(c.replace(best, f"architecture={architecture}") for c in part.commands)


def _commands(record: SearchRecord, architecture: str) -> list[str]:
    assert record.cfg is not None or record.space is not None
    if record.cfg is None:
        commands = [
            "python train_net.py --config-file STEP4_CONFIG model.backbone.architecture=BEST"
        ]
    else:
        root = str(Path(detnas_d2.__file__).resolve().parents[1])
        try:
            commands = retrain_commands(record.cfg, root)
        except (DetNASError, OmegaConfBaseException, AttributeError):  # configs that are not here
            key = backbone_key(record.cfg)
            configs = record.step.setting("search.retrain") or ["STEP4_CONFIG"]
            commands = [
                f"python train_net.py --config-file {c} {key}.architecture=BEST" for c in configs
            ]
    return [command.replace("BEST", architecture) for command in commands]


def _add_front(part: SearchPart, record: SearchRecord) -> None:
    by_choices = {e.architecture.choices: e for e in record.evaluations}
    for entry in front_of(record.step):
        found = by_choices.get(tuple(entry.get("architecture") or ()))
        if found is not None and found.ok:
            costs = {
                k: v
                for k, v in entry.items()
                if k not in ("architecture", "fitness", "flops", "params")
                and isinstance(v, (int, float))
            }
            part.front_costs = part.front_costs or list(costs)
            row = _row(found, part)
            part.front.append({**row, "costs": [f"{v:,.4g}" for v in costs.values()]})


def _add_detections(part: SearchPart, record: SearchRecord, png: Callable[[str], Path]) -> None:
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
    part.settings = [(k, str(v)) for k, v in flatten(record.step.setting("search") or {})]
    if record.step.config:
        part.config = yaml.safe_dump(dict(record.step.config), allow_unicode=True, sort_keys=False)
