"""A search's folder as the report sees it: finished, running, stopped or damaged."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..durations import duration
from ..files import parse_json
from ..search import Evaluation, rank
from ..search.ledger_format import VERSION, complete_lines, parse_line
from ..space import SearchSpace
from .folders import BEST, LEDGER, StepFolder
from .search_file import SEARCH, UNREADABLE, SearchFile, read_search_file, space_of_ledger

_STALE = 600.0  # seconds without a candidate after which a search counts as stopped, at the least
_KNOWN = re.compile(r" (\d+) candidates are in the ledger already")
FRONT = "pareto_front.json"
_ANEW = "search_net.py --resume writes it anew."
_START = "Command line arguments: "


@dataclass(frozen=True)
class SearchRecord:
    """What could be read of a search.

    step: its folder. header: the ledger's. evaluations: in the ledger's order. told: search.json,
    None where it can't be had. notes: what is missing or damaged, each with what to do.
    """

    step: StepFolder
    header: Mapping[str, Any]
    evaluations: Sequence[Evaluation]
    told: SearchFile | None
    notes: tuple[str, ...]

    @property
    def best(self) -> Evaluation | None:
        return next(iter(rank(self.evaluations)), None)

    @property
    def failed(self) -> list[Evaluation]:
        return [e for e in self.evaluations if not e.ok]

    @property
    def metric(self) -> str:
        return self.told.metric if self.told is not None else "fitness"

    @property
    def total(self) -> int | None:
        """Candidates in all; None where nothing tells."""
        return self.told.candidates if self.told is not None else None

    @property
    def is_finished(self) -> bool:
        return (self.step.path / BEST).is_file()

    @property
    def last_written(self) -> float | None:
        """Seconds since the ledger was written to; None without one."""
        path = self.step.path / LEDGER
        return max(time.time() - path.stat().st_mtime, 0.0) if path.is_file() else None

    @property
    def state(self) -> str:
        """finished, missing (not begun), running, or stopped: one that has written nothing for
        long."""
        if self.is_finished:
            return "finished"
        ago = self.last_written
        if ago is None:
            return "missing"
        slowest = max((e.seconds for e in self.evaluations), default=0.0)
        return "running" if ago < max(_STALE, 5 * slowest) else "stopped"

    @property
    def headline(self) -> str:
        """The state in a sentence, with how many candidates are done."""
        done, total = len(self.evaluations), self.total
        of = f"{done:,} of {total:,}" if total is not None else f"{done:,}"
        if self.state == "finished":
            is_early = total is not None and done < total
            early = " (it ended early; log.txt says why)" if is_early else ""
            return f"Finished: {of} candidates{early}."
        if self.last_written is None:
            return "Not begun: there is no ledger.jsonl."
        last = f"{of} candidates; the last one {duration(max(round(self.last_written), 1))} ago."
        if self.state == "running":
            return f"Running, {last}"
        return f"Stopped, {last} search_net.py --resume goes on."

    def runs(self) -> tuple[int, int] | None:
        """How often the search was started, by its log.txt, and how many candidates its last start
        found in the ledger; None without a log."""
        try:
            log = (self.step.path / "log.txt").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        starts = log.split(_START)
        return max(len(starts) - 1, 1), sum(int(n) for n in _KNOWN.findall(starts[-1]))


def read_search(step: StepFolder) -> SearchRecord:
    """Read a search's folder; what can't be read is told in the notes."""
    notes = list(step.problems)
    told = None
    try:
        told = read_search_file(step.path)
    except FileNotFoundError:
        notes.append(
            f"There is no {SEARCH}, which search_net.py writes as it starts: this search is of an "
            f"older version, or not begun. Only what {LEDGER} has is shown: no limits, no names of "
            "choices, no costs of blocks, no number of candidates and no commands."
        )
    except UNREADABLE as error:
        notes.append(f"{SEARCH} can't be read: {type(error).__name__}: {error}. {_ANEW}")
    header, evaluations = _read_ledger(step, told.space if told is not None else None, notes)
    return SearchRecord(step, header, evaluations, told, tuple(notes))


def _read_ledger(
    step: StepFolder, space: SearchSpace | None, notes: list[str]
) -> tuple[dict[str, Any], list[Evaluation]]:
    """The header, and of each architecture the last line, in the ledger's order."""
    try:
        lines, _ = complete_lines((step.path / LEDGER).read_bytes())
    except FileNotFoundError:
        notes.append(f"There is no {LEDGER} yet: python search_net.py --config-file … writes it.")
        return {}, []
    except OSError as error:
        notes.append(f"{LEDGER} can't be read: {error.strerror}.")
        return {}, []
    if not lines:
        notes.append(f"{LEDGER} is empty: the search has not begun to write it.")
        return {}, []
    header: dict[str, Any] = {}
    try:
        header = dict(parse_line(lines[0])["header"])
        if header["version"] != VERSION:
            raise ValueError(f"it is of version {header['version']}, expected {VERSION}")
    except UNREADABLE as error:
        notes.append(
            f"The first line of {LEDGER}, its header, can't be read: {error}. Restore the file "
            "from a copy; search_net.py --resume says what the line has to be."
        )
    records: list[Any] = []
    damaged: list[str] = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            records.append((number, parse_line(line)))
        except UNREADABLE as error:
            damaged.append(f"line {number} ({error})")
    found: dict[Any, Evaluation] = {}
    for number, record in records:
        try:
            space = space or space_of_ledger([r for _, r in records])
            evaluation = Evaluation.from_json(record, space)
        except UNREADABLE as error:
            damaged.append(f"line {number} ({error})")
            continue
        found.pop(evaluation.architecture, None)
        found[evaluation.architecture] = evaluation
    if damaged:
        more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
        notes.append(
            f"{len(damaged)} damaged lines of {LEDGER} are passed over: "
            f"{'; '.join(damaged[:3])}{more}. search_net.py --resume says how to mend them."
        )
    return header, list(found.values())


def front_of(step: StepFolder) -> tuple[list[dict[str, Any]], str | None]:
    """The front that a Pareto search wrote, empty where there is none; and what is wrong in it."""
    try:
        front = parse_json((step.path / FRONT).read_bytes())["front"]
    except FileNotFoundError:
        return [], None
    except UNREADABLE as error:
        return [], f"{FRONT} can't be read: {type(error).__name__}: {error}. {_ANEW}"
    entries = front if isinstance(front, list) else [front]
    good = [e for e in entries if isinstance(e, dict) and isinstance(e.get("architecture"), list)]
    bad = len(entries) - len(good)
    return good, f"{bad} entries of {FRONT} are no networks and passed over. {_ANEW}" * bool(bad)
