"""What runs in the processes of RayExecutor's workers."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any, TypeAlias

from ..phases import SplitFitness, in_phases
from ..space import Architecture
from .executor import Attempt, attempt
from .tasks import PhaseSize

# where a worker runs: Ray's id of the machine, the machine's name, the process
Place: TypeAlias = tuple[str, str, int]


class RayWorker:
    """An actor that keeps the fitness function alive, and with it model and data."""

    def __init__(self) -> None:
        self._fitness: SplitFitness | None = None

    def place(self) -> Place:
        import ray

        return ray.get_runtime_context().get_node_id(), socket.gethostname(), os.getpid()

    def start(self, parts: Sequence[Any]) -> list[PhaseSize]:
        """Make the fitness function, of which this gives the phases; a second call makes none.

        Args:
            parts: object references of the function that makes it and of that one's arguments.
        """
        import ray

        if self._fitness is None:
            # one by one: together they may be more than the object store holds
            make_fitness, *shared = (ray.get(part) for part in parts)
            self._fitness = in_phases(make_fitness(*shared))
        return [PhaseSize(phase.units, phase.needs) for phase in self._fitness.phases]

    def evaluate(
        self, architecture: Architecture, phase: int, units: range, given: Sequence[Any]
    ) -> Attempt:
        assert self._fitness is not None
        phases = self._fitness.phases
        run = phases[phase].run
        return attempt(lambda: run(architecture, units, *given), phase == len(phases) - 1)
