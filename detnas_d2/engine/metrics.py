"""metrics.json that a resumed training continues as if it had never stopped."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from detectron2.utils.events import EventStorage, EventWriter, get_event_storage

from ..files import parse_json, write_atomically

SMOOTHING_WINDOW = 20
"""Iterations over which Detectron2's writers take the median of a scalar."""

TIMES = ("time", "data_time", "rank_data_time", "eta_seconds")
"""Scalars of Detectron2 that are no function of the step."""


class ResumableJSONWriter(EventWriter):
    """Detectron2's metrics.json, started at an iteration.

    Lines of that iteration and later, which a killed run wrote after its last checkpoint, are
    dropped first: they will be written again. A torn last line goes with them. Unlike
    Detectron2's JSONWriter it writes the lines in the order of their iterations, so that the file
    does not depend on where a run was interrupted.

    Args:
        json_file: path of the file, one JSON object a line.
        start_iter: gives the first iteration; asked when the first metrics are written.
    """

    def __init__(self, json_file: str, start_iter: Callable[[], int]) -> None:
        self._file, self._start_iter = json_file, start_iter
        self._last_write: int | None = None

    def write(self) -> None:
        if self._last_write is None:  # scalars up to here were written by the run before
            self._last_write = _keep_before(self._file, self._start_iter())
        lines: dict[int, dict[str, float]] = defaultdict(dict)
        latest = get_event_storage().latest_with_smoothing_hint(SMOOTHING_WINDOW)
        for name, (value, iteration) in latest.items():
            if iteration > self._last_write:
                lines[iteration][name] = value
        if not lines:
            return
        with open(self._file, "a") as f:
            for iteration, scalars in sorted(lines.items()):
                f.write(json.dumps({**scalars, "iteration": iteration}, sort_keys=True) + "\n")
            f.flush()
            os.fsync(f.fileno())
        self._last_write = max(lines)


def _keep_before(path: str, start_iter: int) -> int:
    """Drop the lines of `start_iter` and later; return the last iteration kept, or -1."""
    if not os.path.exists(path):
        return -1
    kept, last = [], -1
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            try:
                iteration = parse_json(line)["iteration"]
            except (ValueError, KeyError, TypeError):
                continue
            if type(iteration) is int and iteration < start_iter:
                kept.append(line if line.endswith("\n") else line + "\n")
                last = max(last, iteration)
    write_atomically(path, "".join(kept))
    return last


def storage_state(storage: EventStorage) -> dict[str, Any]:
    """The last SMOOTHING_WINDOW values of every scalar but times, as builtins for a checkpoint."""
    hints = storage.smoothing_hints()
    return {
        name: {
            "values": [(float(v), int(i)) for v, i in history.values()[-SMOOTHING_WINDOW:]],
            "smooth": bool(hints[name]),
        }
        for name, history in storage.histories().items()
        if name not in TIMES
    }


def restore_storage(storage: EventStorage, state: dict[str, Any]) -> None:
    """Put the values of `storage_state` back, so that medians go on over the interruption."""
    now = storage.iter
    for name, scalar in state.items():
        for value, iteration in scalar["values"]:
            storage.iter = iteration
            storage.put_scalar(name, value, smoothing_hint=scalar["smooth"])
    storage.iter = now
