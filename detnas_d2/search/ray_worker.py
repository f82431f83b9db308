"""What runs in a worker process of RayExecutor."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DetNASError
from ..space import Architecture
from .executor import Fitness, Measurement, measure


@dataclass(frozen=True)
class Place:
    """Where a worker runs. node: Ray's id of the machine."""

    node: str
    host: str
    process: int


@dataclass(frozen=True)
class Fault:
    """What is no candidate's fault. of_set_up: a DetNASError; the next would fail alike."""

    message: str
    of_set_up: bool


class RayWorker:
    """An actor that keeps the fitness function alive, and with it model and data."""

    def __init__(self) -> None:
        self._fitness: Fitness | None = None

    def start(self, parts: Sequence[Any]) -> Place | Fault:
        """Make the fitness function; a second call makes none.

        Args:
            parts: object references of the function that makes it and of that one's arguments.
        """
        import ray

        try:
            if self._fitness is None:
                # one by one: together they may be more than the object store holds
                make_fitness, *shared = (ray.get(part) for part in parts)
                self._fitness = make_fitness(*shared)
        except DetNASError as error:
            return Fault(str(error), of_set_up=True)
        except Exception:
            return Fault(traceback.format_exc().rstrip(), of_set_up=False)
        return Place(ray.get_runtime_context().get_node_id(), socket.gethostname(), os.getpid())

    def evaluate(self, architecture: Architecture) -> Measurement | Fault:
        assert self._fitness is not None
        try:
            return measure(self._fitness, architecture)
        except DetNASError as error:
            return Fault(str(error), of_set_up=True)
