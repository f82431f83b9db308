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
    """Where a worker runs. node: Ray's id of the machine. gpus: those set aside for it."""

    node: str
    gpus: tuple[str, ...]
    host: str
    process: int


@dataclass(frozen=True)
class SetUpFault:
    """A DetNASError: the fault is not a candidate's, and the next would fail alike."""

    message: str


@dataclass(frozen=True)
class StartFailure:
    """The fitness function could not be made."""

    trace: str


class RayWorker:
    """An actor that keeps the fitness function alive, and with it model and data."""

    def __init__(self) -> None:
        self._fitness: Fitness | None = None

    def place(self) -> Place:
        import ray

        context = ray.get_runtime_context()
        gpus = tuple(context.get_accelerator_ids().get("GPU", ()))
        return Place(context.get_node_id(), gpus, socket.gethostname(), os.getpid())

    def prepare(self, parts: Sequence[Any]) -> SetUpFault | StartFailure | None:
        """Make the fitness function; a second call does nothing.

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
            return SetUpFault(str(error))
        except Exception:
            return StartFailure(traceback.format_exc())
        return None

    def evaluate(self, architecture: Architecture) -> Measurement | SetUpFault:
        assert self._fitness is not None
        try:
            return measure(self._fitness, architecture)
        except DetNASError as error:
            return SetUpFault(str(error))
