"""A search's folder as the report sees it: finished, running, stopped or damaged."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from detectron2.config import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..driver.algorithms import build_algorithm
from ..driver.limits import COSTS, build_cost
from ..engine import backbone_node
from ..errors import DetNASError
from ..search import CostLimits, Evaluation, rank
from ..search.ledger_format import VERSION, complete_lines, parse_line
from ..space import SearchSpace, SpaceError, get_space, resolve_space
from ..trust import ALGORITHMS, check_targets, refuse_resolvers
from ..trust import SPACES as LISTED
from .folders import BEST, CONFIG, LEDGER, StepFolder
from .search_charts import Cost

logger = logging.getLogger(__name__)

_UNITS = {
    "flops": ("multiply-adds, M", 1e-6),
    "params": ("parameters, M", 1e-6),
    "latency": ("latency, ms", 1.0),
}
_STALE = 600.0  # seconds without a candidate after which a search counts as stopped, at the least
_KNOWN = re.compile(r" (\d+) candidates are in the ledger already")
FRONT = "pareto_front.json"
_ANEW = "search_net.py --resume writes it anew."
_START = "Command line arguments: "


@dataclass(frozen=True)
class SearchRecord:
    """What could be read of a search.

    step: its folder. header: the ledger's. evaluations: in the ledger's order. space, cfg: None
    where they can't be had. notes: what is missing or damaged, each with what to do.
    total: candidates in all, None where nothing tells. may_run: as `write_report`'s `also`, None
    for all.
    """

    step: StepFolder
    header: Mapping[str, Any]
    evaluations: Sequence[Evaluation]
    space: SearchSpace | None
    cfg: DictConfig | None
    notes: tuple[str, ...]
    total: int | None
    may_run: frozenset[str] | None = frozenset()

    @property
    def best(self) -> Evaluation | None:
        return next(iter(rank(self.evaluations)), None)

    @property
    def failed(self) -> list[Evaluation]:
        return [e for e in self.evaluations if not e.ok]

    @property
    def metric(self) -> str:
        return str(self.step.setting("search.metric") or "fitness")

    @property
    def input_size(self) -> tuple[int, int]:
        size = self.step.setting("search.input_size")
        if isinstance(size, list) and [type(n) for n in size] == [int, int] and min(size) > 0:
            return (size[0], size[1])
        return (224, 224)

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

    def costs(self) -> tuple[list[Cost], list[str]]:
        """Multiply-adds, and every other cost that the search limits or weighs; and which can't be
        had."""
        assert self.space is not None
        algorithm = self.step.setting("search.algorithm.costs") or []
        costs, missing = [], []
        for name in COSTS:
            limit = self.step.setting(f"search.{name}_limit")
            if name != "flops" and limit is None and name not in algorithm:
                continue
            label, unit = _UNITS[name]
            try:
                values = self._values(name)
            except (DetNASError, OSError, OmegaConfBaseException) as error:
                missing.append(f"No chart of {name}: {error}")
                continue
            limit = limit * unit if isinstance(limit, (int, float)) else None
            costs.append(Cost(name, label, [v * unit for v in values], limit))
        return costs, missing

    def _values(self, name: str) -> list[float]:
        if name in ("flops", "params"):  # the ledger has them
            return [getattr(e, name) for e in self.evaluations]
        assert self.space is not None and self.cfg is not None
        cost = build_cost(self.cfg, self.space, name)
        choices = np.array([e.architecture.choices for e in self.evaluations])
        values: list[float] = cost(choices).tolist()
        return values

    def runs(self) -> tuple[int, int] | None:
        """How often the search was started, by its log.txt, and how many candidates its last start
        found in the ledger; None without a log."""
        try:
            log = (self.step.path / "log.txt").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        starts = log.split(_START)
        return max(len(starts) - 1, 1), sum(int(n) for n in _KNOWN.findall(starts[-1]))


def read_search(step: StepFolder, may_run: frozenset[str] | None = frozenset()) -> SearchRecord:
    """Read a search's folder; what can't be read is told in the notes.

    Args:
        may_run: names that its config may call besides what is listed, None for all.
    """
    notes = list(step.problems)
    header, lines = _read_lines(step, notes)
    cfg = _config(step, may_run, notes)
    space = _space(cfg, header, step, may_run, notes)
    evaluations = _evaluations(lines, space, notes) if space is not None else []
    total = _total(cfg, space, step, may_run, notes)
    return SearchRecord(step, header, evaluations, space, cfg, tuple(notes), total, may_run)


def _read_lines(step: StepFolder, notes: list[str]) -> tuple[dict[str, Any], list[bytes]]:
    path = step.path / LEDGER
    try:
        lines, _ = complete_lines(path.read_bytes())
    except FileNotFoundError:
        notes.append(f"There is no {LEDGER} yet: python search_net.py --config-file … writes it.")
        return {}, []
    except OSError as error:
        notes.append(f"{LEDGER} can't be read: {error.strerror}.")
        return {}, []
    if not lines:
        notes.append(f"{LEDGER} is empty: the search has not begun to write it.")
        return {}, []
    try:
        header = parse_line(lines[0])["header"]
        if header["version"] != VERSION:
            raise ValueError(f"it is of version {header['version']}, expected {VERSION}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        is_old = re.search(rb'"version": 1[,}]', lines[0])
        why = f"it is of version 1, expected {VERSION}" if is_old else error
        notes.append(
            f"The first line of {LEDGER}, its header, can't be read: {why}. Restore the file "
            "from a copy; search_net.py --resume says what the line has to be."
        )
        return {}, [] if is_old else lines[1:]
    return header, lines[1:]


def _config(
    step: StepFolder, may_run: frozenset[str] | None, notes: list[str]
) -> DictConfig | None:
    if not step.config:
        if not step.problems:
            notes.append(
                f"There is no {CONFIG}, which search_net.py writes when it starts: the search's "
                "settings are not known here."
            )
        return None
    try:
        if may_run is not None:
            refuse_resolvers(step.config, CONFIG)
        return OmegaConf.create(dict(step.config))
    except Exception as error:  # omegaconf and its parser raise many kinds
        notes.append(
            f"{CONFIG} holds no config that can be used: {' '.join(str(error).split())}. Restore "
            "the file from a copy."
        )
        return None


def _space(
    cfg: DictConfig | None,
    header: Mapping[str, Any],
    step: StepFolder,
    may_run: frozenset[str] | None,
    notes: list[str],
) -> SearchSpace | None:
    """The space of the config; without one, a built-in of the header's name and definition."""
    found = None
    if cfg is not None:
        try:
            node = backbone_node(cfg).space
            _refuse(node, LISTED, may_run)
            found = resolve_space(instantiate(node))
        # own choices are anyone's code, and their module may not be there
        except Exception as error:
            notes.append(
                f"The search space of {CONFIG} can't be built: {type(error).__name__}: {error}. "
                "Run the report where the search was run, so that the module of its choices is "
                "found."
            )
    elif isinstance(header.get("space"), str):
        with suppress(SpaceError):  # one of its own
            found = get_space(header["space"])
    fingerprint = header.get("space_fingerprint")
    if found is not None and fingerprint not in (None, found.fingerprint):
        notes.append(
            f"The space {found.name!r} is defined otherwise here than when the search was begun: "
            f"fingerprint {found.fingerprint}, {fingerprint} in {LEDGER}. Take the code and the "
            f"{CONFIG} of the search."
        )
        return None
    return found


def _refuse(node: Any, listed: frozenset[str], may_run: frozenset[str] | None) -> None:
    if may_run is not None:
        check_targets(node, listed | may_run, CONFIG)


def _evaluations(lines: Sequence[bytes], space: SearchSpace, notes: list[str]) -> list[Evaluation]:
    """Of each architecture the last, in the ledger's order; damaged lines are passed over."""
    found: dict[Any, Evaluation] = {}
    damaged: list[str] = []
    for number, line in enumerate(lines, start=2):
        try:
            evaluation = Evaluation.from_json(parse_line(line), space)
        except (ValueError, OverflowError, RecursionError) as error:
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
    return list(found.values())


def _total(
    cfg: DictConfig | None,
    space: SearchSpace | None,
    step: StepFolder,
    may_run: frozenset[str] | None,
    notes: list[str],
) -> int | None:
    """Candidates of the whole search, by its algorithm."""
    if cfg is None or space is None:
        return None
    try:
        for key in ("algorithm", "initial", "initial_ledger"):
            _refuse(cfg.search.get(key), ALGORITHMS, may_run)
        return build_algorithm(cfg, space, CostLimits(space, [])).candidates
    # an algorithm may be anyone's code, and read files that are gone
    except Exception as error:
        notes.append(
            "How many candidates the search has in all is not known: its algorithm can't be built "
            f"here ({type(error).__name__}: {error})."
        )
        return None


def front_of(step: StepFolder) -> tuple[list[dict[str, Any]], str | None]:
    """The front that a Pareto search wrote, empty where there is none; and what is wrong in it."""
    path = step.path / FRONT
    try:
        front = json.loads(path.read_text(encoding="utf-8"))["front"]
    except FileNotFoundError:
        return [], None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return [], f"{FRONT} can't be read: {type(error).__name__}: {error}. {_ANEW}"
    entries = front if isinstance(front, list) else [front]
    good = [e for e in entries if isinstance(e, dict) and isinstance(e.get("architecture"), list)]
    if len(good) == len(entries):
        return good, None
    bad = len(entries) - len(good)
    return good, f"{bad} entries of {FRONT} are no networks and passed over. {_ANEW}"
