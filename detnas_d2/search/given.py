"""Architectures that someone names, scored like those of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..space import SearchSpace
from .algorithm import SearchAlgorithm
from .errors import SearchError
from .evaluator import Evaluate
from .initial import fingerprint, parse_architectures
from .limits import CostLimits
from .results import SearchResult, make_result


class GivenArchitectures(SearchAlgorithm):
    """Evaluates the given architectures in their order, duplicates once; no other is tried.

    Args:
        architectures: see parse_architectures.

    Other arguments and attributes are those of SearchAlgorithm; it begins with none else.

    Raises:
        ArchitectureError: one that is not of the space.
        SearchError: none, or some that are over the limit.
    """

    def __init__(
        self,
        space: SearchSpace,
        limit: CostLimits | None = None,
        *,
        architectures: Sequence[Any],
        **common: Any,
    ) -> None:
        super().__init__(space, limit, 0, **common)
        self.architectures = parse_architectures(architectures, space, self.limit)
        if not self.architectures:
            raise SearchError("search.algorithm.architectures is empty; name at least one")
        self.candidates = len(self.architectures)
        self.depends_on = {"architectures": fingerprint(self.architectures)}

    def run(self, evaluate: Evaluate) -> SearchResult:
        """Raises SearchError if all of them fail."""
        return make_result(evaluate(self.architectures, 0), None)
