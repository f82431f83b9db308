"""What every search algorithm has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from .errors import SearchError
from .evaluator import Evaluate
from .results import SearchResult


class SearchAlgorithm(Protocol):
    """Settings are given to the constructor, with space, limit and seed, and checked there.

    Attributes:
        candidates: the most that will be evaluated.
        depends_on: by name, as text, what decides the candidates besides the config; it goes into
            the ledger's header.
    """

    candidates: int
    depends_on: Mapping[str, str]

    def run(self, evaluate: Evaluate) -> SearchResult:
        """Search. The candidates are a function of the settings and of what `evaluate` answered,
        so that the same search again with a ledger that answers is how it is resumed.

        Args:
            evaluate: (architectures, generation) -> their evaluations, in the same order.

        Raises:
            SearchError: nothing was found.
        """


def check_settings(*settings: tuple[str, Any, bool, str]) -> None:
    """Raise SearchError for the first (name, value, whether it can work, what is expected) that
    can't."""
    for name, value, works, expected in settings:
        if not works:
            raise SearchError(f"{name} of the search is {value}; expected {expected}")
