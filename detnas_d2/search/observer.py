"""Who is told of a search's candidates while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .record import Evaluation


class Observer(Protocol):
    """Told of every candidate once: of those that the ledger answers, and of those evaluated."""

    def begin_batch(self, known: Sequence[Evaluation]) -> None:
        """A batch begins; `known` are those that the ledger has answered."""

    def evaluated(self, evaluation: Evaluation) -> None:
        """A candidate was evaluated and is in the ledger."""
