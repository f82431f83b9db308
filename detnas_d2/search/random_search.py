"""Random search under a limit: the baseline that a search has to beat."""

from __future__ import annotations

from typing import Any

from ..rules import require, whole
from ..space import SearchSpace
from .algorithm import SearchAlgorithm
from .evaluator import Evaluate
from .limits import CostLimits
from .results import SearchResult, make_result
from .sampling import draw_unseen, why_none_left


class RandomSearch(SearchAlgorithm):
    """`count` different architectures, uniformly out of those under the limit.

    All evaluations belong to generation 0. Other arguments, attributes and errors are those of
    SearchAlgorithm; given architectures come first and are counted.
    """

    def __init__(
        self,
        space: SearchSpace,
        limit: CostLimits | None = None,
        *,
        count: int = 1000,
        **common: Any,
    ) -> None:
        require("search.algorithm", count=(count, whole(1)))
        super().__init__(space, limit, count, **common)
        self.candidates = count

    def run(self, evaluate: Evaluate) -> SearchResult:
        """As EvolutionarySearch.run, with its errors."""
        self.initial.log()
        first = self.initial.architectures
        missing, rng = self.candidates - len(first), self.rng(0)
        architectures = [*first, *draw_unseen(self.space, missing, set(first), self.limit, rng)]
        stopped_because = None
        if len(architectures) < self.candidates:
            stopped_because = why_none_left(self.space, len(architectures))
        return make_result(evaluate(architectures, 0), stopped_because)
