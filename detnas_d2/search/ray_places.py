"""RayExecutor's workers that wait for a place in the cluster."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import SearchError
from .ray_state import State, Worker

logger = logging.getLogger(__name__)

_TELL_AFTER = 10.0  # seconds


class Places:
    """Tells once of workers that wait, and ends a search in which none gets a place.

    Args:
        needs: what a worker asks for: num_cpus, num_gpus.
        limit: seconds after which it is an error that not one worker has a place.
    """

    def __init__(self, needs: Mapping[str, float], limit: float) -> None:
        self._needs = _as_text({"CPU": needs["num_cpus"], "GPU": needs["num_gpus"]})
        self._limit = limit
        self._told = False

    def check(self, ray: Any, workers: Sequence[Worker]) -> float:
        """
        Returns:
            when to look again, by time.monotonic().

        Raises SearchError: not one worker has got a place.
        """
        waiting = [w.since for w in workers if w.state is State.PLACING]
        if not waiting:
            return math.inf
        now = time.monotonic()
        again = math.inf
        if len(waiting) == len(workers):
            # from the last on: the others may have waited long for more places than there are
            again = max(waiting) + self._limit
            if now >= again:
                raise SearchError(
                    f"Not one worker got a place in {self._limit:g} s. Each needs {self._needs}; "
                    f"the cluster has {_as_text(ray.cluster_resources())}, of which free: "
                    f"{_as_text(ray.available_resources())}. Add machines, wait until others "
                    "leave them, or ask for less."
                )
        if not self._told and now >= min(waiting) + _TELL_AFTER:
            self._told = True
            logger.warning(
                "%d of %d workers wait for a place (%s each); they join when there is one",
                *(len(waiting), len(workers), self._needs),
            )
        return again if self._told else min(again, min(waiting) + _TELL_AFTER)

    def is_hope(self, workers: Sequence[Worker]) -> bool:
        """Whether a worker has been ready, or still may be at its first try."""
        earliest = time.monotonic() - self._limit
        return any(
            w.was_ready or (not w.failed_starts and (w.place is not None or w.since > earliest))
            for w in workers
        )


def _as_text(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{resources.get(key, 0):g} {key}" for key in ("CPU", "GPU"))
