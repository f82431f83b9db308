"""What RayExecutor knows of its workers and candidates."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..space import Architecture
from .ray_worker import Place


class State(Enum):
    PLACING = "waits for resources"
    PREPARING = "makes its fitness function"
    IDLE = "waits for a candidate"
    BUSY = "evaluates a candidate"


@dataclass(eq=False)
class Job:
    """A candidate that is not done. failed_on: the worker of its last failed attempt."""

    architecture: Architecture
    attempts: int = 0
    lost_machines: int = 0
    failed_on: Worker | None = None


@dataclass(eq=False)
class Worker:
    """An actor as the driver knows it.

    call: the reference of the result that it owes. failures: attempts that failed, in a row.
    fruitless: how many in a row, before it in its stead, could not start or were replaced for their
    failures.
    """

    number: int
    actor: Any
    call: Any
    since: float
    state: State = State.PLACING
    fruitless: int = 0
    place: Place | None = None
    was_ready: bool = False
    failures: int = 0
    job: Job | None = None
    deadline: float = math.inf

    def __str__(self) -> str:
        if self.place is None:
            return f"Worker {self.number}"
        return f"Worker {self.number} ({self.place.host}, process {self.place.process})"

    @property
    def is_at_work(self) -> bool:
        return self.state in (State.IDLE, State.BUSY)

    def shares_place(self, other: Worker) -> bool:
        """Whether both are on the same GPU, or, on CPUs, on the same machine."""
        here, there = self.place, other.place
        if here is None or there is None:
            return False
        return (here.node, here.gpus) == (there.node, there.gpus)

    def begin(self, state: State, call: Any, limit: float | None = None) -> None:
        self.state, self.call, self.since = state, call, time.monotonic()
        self.deadline = math.inf if limit is None else self.since + limit


def as_text(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{resources.get(key, 0):g} {key}" for key in ("CPU", "GPU"))
