"""How long a step has run, over all its starts."""

from __future__ import annotations

import json
import time
from pathlib import Path

from ..files import parse_json, write_atomically

STARTS_FILE = "starts.json"
PERIOD = 10.0  # seconds between two writes: what a kill -9 can lose


class StepTime:
    """The seconds of a step's starts, kept in its folder until the step is done.

    Args:
        folder: of the step.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / STARTS_FILE
        self._before = earlier_starts(folder)
        self._begun = self._written = time.monotonic()

    @property
    def starts(self) -> int:
        return len(self._before) + 1

    @property
    def seconds(self) -> float:
        """Of all starts, up to now."""
        return round(sum(self._before) + time.monotonic() - self._begun, 1)

    def keep(self, *, at_once: bool = False) -> None:
        """Write them down, at most every `PERIOD` seconds."""
        now = time.monotonic()
        if at_once or now - self._written >= PERIOD:
            starts = [*self._before, round(now - self._begun, 1)]
            write_atomically(self._file, json.dumps(starts) + "\n")
            self._written = now

    def done(self) -> None:
        self._file.unlink(missing_ok=True)


def earlier_starts(folder: Path) -> list[float]:
    """Seconds of each start of a step that is not done; none where nothing can be read."""
    try:
        return [float(s) for s in parse_json((folder / STARTS_FILE).read_text())]
    except (OSError, ValueError, TypeError):
        return []
