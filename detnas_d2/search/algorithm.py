"""What every search algorithm has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..rules import require, whole
from ..space import SearchSpace
from .errors import SearchError
from .evaluator import Evaluate
from .initial import FilePath, first_architectures
from .limits import CostLimits
from .results import SearchResult


class SearchAlgorithm:
    """The base of the algorithms; its constructor and theirs refuse settings that can't work.

    Args:
        space: where to search.
        limit: what every candidate has to meet; None: any architecture does.
        room: how many architectures it can begin with.
        initial, initial_ledger: these, see first_architectures.
        seed: of every random draw.

    Attributes:
        candidates: the most that will be evaluated.
        depends_on: by name, as text, what decides the candidates besides the config; it goes into
            the ledger's header.

    Raises:
        ConfigError: a setting that can't work.
        SearchError, ...: as first_architectures, and where it takes none to begin with.
    """

    candidates: int

    def __init__(
        self,
        space: SearchSpace,
        limit: CostLimits | None,
        room: int,
        /,
        *,
        initial: Any = None,
        initial_ledger: FilePath | None = None,
        seed: int = 0,
    ) -> None:
        require("search", seed=(seed, whole(0)))
        if not room and (initial, initial_ledger) != (None, None):
            raise SearchError(
                f"{type(self).__name__} takes no architectures to begin with; set search.initial "
                "and search.initial_ledger to null, or choose another search.algorithm."
            )
        self.space = space
        self.limit = limit or CostLimits(space, ())
        self.seed = seed
        self.initial = first_architectures(space, self.limit, room, initial, initial_ledger)
        self.depends_on: Mapping[str, str] = self.initial.depends_on

    def rng(self, generation: int) -> np.random.Generator:
        """The generator of a generation's draws."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, generation]))

    def run(self, evaluate: Evaluate) -> SearchResult:
        """Search. The candidates are a function of the settings and of what `evaluate` answered,
        so that the same search again with a ledger that answers is how it is resumed.

        Args:
            evaluate: (architectures, generation) -> their evaluations, in the same order.

        Raises:
            SearchError: nothing was found.
        """
        raise NotImplementedError
