"""Random search under a limit: the baseline that a search has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..space import SearchSpace
from .algorithm import check_settings
from .evaluator import Evaluate
from .initial import FilePath, first_architectures
from .limits import CostLimits
from .results import SearchResult, make_result
from .sampling import draw_unseen, why_none_left


class RandomSearch:
    """`count` different architectures, uniformly out of those under the limit.

    All evaluations belong to generation 0. Arguments, attributes and errors as for
    EvolutionarySearch; given architectures come first and are counted.
    """

    def __init__(
        self,
        space: SearchSpace,
        limit: CostLimits | None = None,
        *,
        count: int = 1000,
        initial: Any = None,
        initial_ledger: FilePath | None = None,
        seed: int = 0,
    ):
        check_settings(
            ("count", count, count >= 1, "at least 1"),
            ("seed", seed, seed >= 0, "at least 0"),
        )
        self.space = space
        self.limit = limit = limit or CostLimits(space, ())
        self.initial = first_architectures(space, limit, count, initial, initial_ledger)
        self.seed = seed
        self.candidates = count
        self.depends_on = self.initial.depends_on

    def run(self, evaluate: Evaluate) -> SearchResult:
        """As EvolutionarySearch.run, with its errors."""
        self.initial.log()
        first = self.initial.architectures
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, 0]))
        missing = self.candidates - len(first)
        architectures = [*first, *draw_unseen(self.space, missing, set(first), self.limit, rng)]
        stopped_because = None
        if len(architectures) < self.candidates:
            stopped_because = why_none_left(self.space, len(architectures))
        return make_result(evaluate(architectures, 0), stopped_because)
