"""Algorithm 2 with a model of the fitness that says which children are worth an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..rules import require, whole
from ..space import Architecture, SearchSpace
from .errors import SearchError
from .evolution import PROBABILITY, EvolutionarySearch
from .limits import CostLimits
from .record import Evaluation
from .sampling import draw_unseen

_DIGITS = 9  # of a prediction


class Predictor:
    """The fitness that a model of some evaluations expects of other architectures.

    It is a sum over the blocks' choices and over the pairs of neighbouring blocks' choices, fitted
    by Bayesian ridge regression (scikit-learn's), which sets its own penalty.

    Args:
        evaluations: one or more that did not fail.
    """

    def __init__(self, evaluations: Sequence[Evaluation]) -> None:
        from sklearn.linear_model import BayesianRidge

        known = [e for e in evaluations if e.ok]
        fitness = np.array([e.fitness for e in known], dtype=float)
        self._model = BayesianRidge().fit(_features([e.architecture for e in known]), fitness)

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """(N,), of N architectures."""
        if not architectures:
            return np.zeros(0)
        # of other processors the last bits may differ
        return np.asarray(self._model.predict(_features(architectures))).round(_DIGITS)


class PredictorSearch(EvolutionarySearch):
    """Algorithm 2 that breeds `factor` generations on a model for each one that is evaluated.

    A `Predictor` of all that was evaluated takes the place of the fitness: the parents' children
    and the best of them and of the parents breed again, and so on. Of all these children the most
    promising are evaluated. The search is a function of seed and ledger, as Algorithm 2 is.

    Args:
        factor: children drawn for each one that is evaluated.
        random_share: of a population, drawn at random: what the model has never seen.

    Other arguments, attributes and errors are those of EvolutionarySearch; SearchError, too, where
    scikit-learn is missing.
    """

    def __init__(
        self,
        space: SearchSpace,
        limit: CostLimits | None = None,
        *,
        factor: int = 10,
        random_share: float = 0.1,
        parents_from: Literal["population", "all"] = "all",
        **evolution: Any,
    ) -> None:
        require(
            "search.algorithm",
            factor=(factor, whole(1)),
            random_share=(random_share, PROBABILITY),
        )
        super().__init__(space, limit, parents_from=parents_from, **evolution)
        self.factor = factor
        self.random_share = random_share
        self.depends_on = {**self.depends_on, **predictor_version()}

    def _next_population(
        self, top: Sequence[Architecture], evaluations: Sequence[Evaluation], generation: int
    ) -> list[Architecture]:
        if not top:
            return super()._next_population(top, evaluations, generation)
        rng, predict = self.rng(generation), Predictor(evaluations)
        seen = {e.architecture for e in evaluations}
        children: list[Architecture] = []
        parents = top
        for _ in range(self.factor):
            children += self._children(parents, seen | {*children}, rng)
            parents = _best([*top, *children], predict, self.parents)
        promising = self.population - round(self.random_share * self.population)
        population = _best(children, predict, promising)
        missing = self.population - len(population)
        rest = draw_unseen(self.space, missing, seen | {*population}, self.limit, rng)
        return [*population, *rest]


def predictor_version() -> dict[str, str]:
    """For `depends_on`. Raises SearchError: scikit-learn is missing."""
    try:
        return {"scikit-learn": version("scikit-learn")}
    except PackageNotFoundError as error:
        raise SearchError(
            f"A predictor needs scikit-learn ({error}): pip install 'detnas-d2[predictor]'"
        ) from error


def _best(
    architectures: Sequence[Architecture], predict: Predictor, count: int
) -> list[Architecture]:
    order = np.argsort(-predict(architectures), kind="stable")
    return [architectures[i] for i in order[:count]]


def _features(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    """(N, L C + (L - 1) C^2), of L blocks and C choices: ones for a block's choice, and for the
    choices of a pair of neighbouring blocks."""
    space = architectures[0].space
    number = len(space.choices)
    rows = np.array([a.choices for a in architectures])
    pairs = rows[:, :-1] * number + rows[:, 1:]
    single, double = np.eye(number)[rows], np.eye(number**2)[pairs]
    return np.hstack([single.reshape(len(rows), -1), double.reshape(len(rows), -1)])
