"""Random search under a limit: the baseline that a search has to beat."""

from __future__ import annotations

import numpy as np

from ..space import SearchSpace
from .errors import SearchError
from .evaluator import Evaluate
from .limits import Limit
from .record import best_of
from .results import SearchResult, make_result
from .sampling import draw_unseen, why_none_left


class RandomSearch:
    """`count` different architectures, uniformly out of those under the limit.

    All evaluations belong to generation 0. Arguments and errors as for EvolutionarySearch.
    """

    def __init__(
        self,
        space: SearchSpace,
        evaluate: Evaluate,
        limit: Limit | None = None,
        *,
        count: int = 1000,
        seed: int = 0,
    ):
        for name, value, least in (("count", count, 1), ("seed", seed, 0)):
            if value < least:
                raise SearchError(f"{name} of the search is {value}; expected at least {least}")
        self.space = space
        self.evaluate = evaluate
        self.limit = limit
        self.count = count
        self.seed = seed

    def run(self) -> SearchResult:
        """Raises LimitError and SearchError as EvolutionarySearch.run does."""
        if self.limit is not None:
            self.limit.witness()  # a limit that nothing meets is refused here
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, 0]))
        architectures = draw_unseen(self.space, self.count, set(), self.limit, rng)
        stopped_because = None
        if len(architectures) < self.count:
            stopped_because = why_none_left(self.space, len(architectures))
        evaluations = self.evaluate(architectures, 0)
        return make_result(best_of(evaluations), evaluations, stopped_because)
