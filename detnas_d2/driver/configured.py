"""What a search is by its config: costs, limits and the algorithm."""

from __future__ import annotations

import logging
from typing import Any

from detectron2.config import instantiate
from omegaconf import DictConfig

from ..engine import ConfigError
from ..engine.preflight import check_fitness
from ..evaluation import CandidateFitness
from ..rules import Rule, require
from ..search import CostLimit, CostLimits, SearchAlgorithm
from ..space import LATENCY_ERROR, BlockCost, CostTable, LatencyTable, SearchSpace

logger = logging.getLogger(__name__)

COSTS = ("flops", "params", "latency")
_WEIGHTS = Rule("supernet, training or none", ("supernet", "training", "none").__contains__)


class SearchCosts(CostTable):
    """The costs at ``search.input_size``, and that of ``search.latency_table`` where it is set.

    Raises:
        SpaceError: a latency table that is damaged, or was measured for something else.
    """

    latency: BlockCost[float] | None = None

    def __init__(self, cfg: DictConfig, space: SearchSpace) -> None:
        super().__init__(space, tuple(cfg.search.input_size))
        file = cfg.search.get("latency_table")
        if file is not None:
            table = LatencyTable.read(file)
            self.latency = table.cost(space, self.input_size)
            if table.is_far_off:
                logger.warning(
                    "search.latency_table %s was off by %.0f%% (median) on the whole networks that "
                    "it was checked against; measure it again on an idle machine to have less than "
                    "%.0f%%",
                    *(file, 100 * table.check["median_error"], 100 * LATENCY_ERROR),
                )

    def named(self, name: str) -> BlockCost[Any]:
        """One of COSTS. Raises ConfigError for latency without a table."""
        cost: BlockCost[Any] | None = getattr(self, name)
        if cost is None:
            raise ConfigError(
                "A search that looks at latency needs search.latency_table; make one on the device "
                "at hand: python -m detnas_d2.evaluation.latency CONFIG --output latency.json"
            )
        return cost


def build_fitness(cfg: DictConfig) -> CandidateFitness:
    """``cfg.search.fitness``; what it says that it needs is there, and it refuses nothing itself.

    Raises:
        ConfigError, DataError: before anything is loaded, with what to do.
    """
    fitness: CandidateFitness = instantiate(cfg.search.fitness)
    require("search.fitness", weights=(fitness.weights, _WEIGHTS))
    check_fitness(cfg, fitness.weights, fitness.loaders)
    fitness.check(cfg)
    return fitness


def build_limit(cfg: DictConfig, space: SearchSpace) -> tuple[SearchCosts, CostLimits]:
    """The costs, and the limits ``search.flops_limit``, ``params_limit`` and ``latency_limit`` that
    are not null.

    Raises:
        ConfigError: a limit of latency without a table.
        SpaceError: as `SearchCosts`.
    """
    costs, limits = SearchCosts(cfg, space), []
    for name in COSTS:
        maximum = cfg.search.get(f"{name}_limit")
        if maximum is not None:
            limits.append(CostLimit(costs.named(name), maximum))
    return costs, CostLimits(space, limits)


def build_algorithm(cfg: DictConfig, costs: SearchCosts, limit: CostLimits) -> SearchAlgorithm:
    """``cfg.search.algorithm`` on the costs' space, with the limit, the seed, what it begins with,
    and the costs that its ``costs`` name.

    Raises:
        ConfigError: an unknown cost.
        ConfigError, LimitError, ...: as `SearchAlgorithm`.
    """
    search = cfg.search
    given = {
        key: search[key] for key in ("initial", "initial_ledger") if search.get(key) is not None
    }
    if (names := search.algorithm.get("costs")) is not None:
        for name in names:
            if name not in COSTS:
                raise ConfigError(
                    f"search.algorithm.costs: there is no cost {name!r}; known are "
                    f"{', '.join(COSTS)}."
                )
        given["costs"] = {name: costs.named(name) for name in names}
    common = {"space": costs.space, "limit": limit, "seed": search.seed}
    algorithm: SearchAlgorithm = instantiate({**search.algorithm, **common, **given})
    return algorithm
