"""Architectures that someone names, scored like those of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..space import Architecture, SearchSpace
from .errors import SearchError
from .evaluator import Evaluate
from .limits import Limit
from .record import best_of
from .results import SearchResult, make_result


class GivenArchitectures:
    """Evaluates the given architectures in their order, duplicates once; no other is tried.

    Args:
        architectures: each in a form that ``Architecture.parse`` takes.
        seed: plays no part; there for the interface of the search algorithms.

    Raises:
        ArchitectureError: one that is not of the space.
        SearchError: none, or one that is over the limit.
    """

    def __init__(
        self,
        space: SearchSpace,
        evaluate: Evaluate,
        limit: Limit | None = None,
        *,
        architectures: Sequence[Any],
        seed: int = 0,
    ):
        parsed = dict.fromkeys(Architecture.parse(a, space) for a in architectures)
        if not parsed:
            raise SearchError("search.algorithm.architectures is empty; name at least one")
        for architecture in parsed:
            if limit is not None and not limit.allows(np.array([architecture.choices]))[0]:
                raise SearchError(
                    f"architecture {architecture} is over the search's limit; raise the limit or "
                    "leave it out"
                )
        self.architectures = list(parsed)
        self.evaluate = evaluate

    def run(self) -> SearchResult:
        """Raises SearchError if all of them fail."""
        evaluations = self.evaluate(self.architectures, 0)
        return make_result(best_of(evaluations), evaluations, None)
