"""A search's folder as the report sees it: finished, running, stopped or damaged."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..driver.description import FILE
from ..durations import duration
from ..search import Evaluation, rank
from ..search.ledger import LEDGER_FILE
from ..search.ledger_format import complete_lines, parse_evaluations, parse_line
from ..search.results import BEST_FILE
from ..space import SearchSpace
from .folders import StepFolder
from .search_file import SearchFile, read_search_file
from .texts import attempt

_STALE = 600.0  # seconds without a candidate after which a search counts as stopped, at the least
_KNOWN = re.compile(r" (\d+) candidates are in the ledger already")
_START = "Command line arguments: "
_NO_FILE = (
    f"There is no {FILE}, which search_net.py writes as it starts. search_net.py --resume writes "
    "it anew; of a search of an older detnas_d2, the version that ran it writes the report."
)


@dataclass(frozen=True)
class SearchRecord:
    """What could be read of a search.

    step: its folder. told: search.json, without which there are no evaluations. header: the
    ledger's. evaluations: in the ledger's order. ranked: those that did not fail, best first.
    notes: what is missing or damaged, each with what to do.
    """

    step: StepFolder
    told: SearchFile | None
    header: Mapping[str, Any] = field(default_factory=dict)
    evaluations: Sequence[Evaluation] = ()
    ranked: Sequence[Evaluation] = ()
    notes: Sequence[str] = ()

    @property
    def seconds(self) -> float:
        """Of all candidates together."""
        return sum(e.seconds for e in self.evaluations)

    def state(self) -> tuple[str, str]:
        """finished, missing (not begun), running, or stopped: one that has written nothing for
        long; and a sentence of it, with how many candidates are done."""
        if self.told is None:
            return "missing", f"Nothing is shown of a search without a {FILE} that can be read."
        done, total = len(self.evaluations), self.told.candidates
        if (self.step.path / BEST_FILE).is_file():
            early = " (it ended early; log.txt says why)" if done < total else ""
            return "finished", f"Finished: {done:,} of {total:,} candidates{early}."
        ledger = self.step.path / LEDGER_FILE
        if not ledger.is_file():
            return "missing", f"Not begun: there is no {LEDGER_FILE}."
        ago = max(round(time.time() - ledger.stat().st_mtime), 1)
        last = f"{done:,} of {total:,} candidates; the last one {duration(ago)} ago."
        if ago < max(_STALE, 5 * max((e.seconds for e in self.evaluations), default=0.0)):
            return "running", f"Running, {last}"
        return "stopped", f"Stopped, {last} search_net.py --resume goes on."

    def starts(self) -> tuple[int, int] | None:
        """How often the search was started, by its log.txt, and how many candidates its last start
        found in the ledger; None without a log."""
        log = self.step.path / "log.txt"
        if not log.is_file():
            return None
        starts = log.read_text(encoding="utf-8", errors="replace").split(_START)
        return max(len(starts) - 1, 1), sum(int(n) for n in _KNOWN.findall(starts[-1]))


def read_search(step: StepFolder) -> SearchRecord:
    """Read a search's folder; what can't be read is told in the notes."""
    notes = list(step.problems)
    if not (step.path / FILE).exists():
        return SearchRecord(step, None, notes=[*notes, _NO_FILE])
    failure = f"{FILE} can't be read (search_net.py --resume writes it anew)"
    told = attempt(failure, lambda: read_search_file(step.path / FILE), None, notes)
    header: dict[str, Any] = {}
    evaluations: list[Evaluation] = []
    if told is not None and (step.path / LEDGER_FILE).exists():
        header, evaluations = _read_ledger(step.path / LEDGER_FILE, told.space, notes)
    return SearchRecord(step, told, header, evaluations, rank(evaluations), notes)


def _read_ledger(
    path: Path, space: SearchSpace, notes: list[str]
) -> tuple[dict[str, Any], list[Evaluation]]:
    """The header, and of each architecture the last line, in the ledger's order."""
    content = attempt(f"{LEDGER_FILE} can't be read", path.read_bytes, b"", notes)
    lines, _ = complete_lines(content)
    if not lines:
        notes.append(f"{LEDGER_FILE} is empty: the search has not begun to write it.")
        return {}, []
    failure = (
        f"The first line of {LEDGER_FILE}, its header, can't be read. Restore the file from a "
        "copy; search_net.py --resume says what the line has to be"
    )
    header: dict[str, Any] = attempt(
        failure, lambda: dict(parse_line(lines[0])["header"]), {}, notes
    )
    damaged: list[str] = []
    found = parse_evaluations(
        path, lines, space, lambda number, error: damaged.append(f"line {number} ({error})")
    )
    if damaged:
        more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
        notes.append(
            f"{len(damaged)} damaged lines of {LEDGER_FILE} are passed over: "
            f"{'; '.join(damaged[:3])}{more}. search_net.py --resume says how to mend them."
        )
    return header, list(found.values())
