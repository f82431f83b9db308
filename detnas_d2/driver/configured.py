"""What a search is by its config: costs, limits and the algorithm."""

from __future__ import annotations

import inspect
import logging
from typing import Any

from detectron2.config import instantiate
from detectron2.utils.registry import locate
from omegaconf import DictConfig

from ..engine import ConfigError
from ..search import CostLimit, CostLimits, Limit, SearchAlgorithm
from ..search.pareto import CostFunction
from ..space import BlockCost, CostTable, LatencyTable, SearchSpace

logger = logging.getLogger(__name__)

COSTS = ("flops", "params", "latency")
LATENCY_ERROR = 0.1
"""A table whose median error on whole networks is larger is warned of."""


def build_limit(cfg: DictConfig, space: SearchSpace) -> tuple[CostTable, CostLimits]:
    """The cost table of ``search.input_size``, and those of ``search.flops_limit``,
    ``params_limit`` and ``latency_limit`` that are not null.

    Raises:
        ConfigError: a limit of latency without a table.
        SpaceError: a latency table that is damaged, or was measured for something else.
        LimitError: no architecture meets them; it names the nearest feasible values.
    """
    limits = []
    for name in COSTS:
        maximum = cfg.search.get(f"{name}_limit")
        if maximum is not None:
            limits.append(CostLimit(build_cost(cfg, space, name), maximum))
    file = cfg.search.get("latency_table")
    if file is not None:
        table = LatencyTable.read(file)
        # one that doesn't fit is refused, used or not
        table.cost(space, tuple(cfg.search.input_size))
        _warn_of_error(file, table)
    limit = CostLimits(space, limits)
    limit.witness()
    return CostTable(space, tuple(cfg.search.input_size)), limit


def build_cost(cfg: DictConfig, space: SearchSpace, name: str) -> BlockCost[Any]:
    """One of COSTS, at ``search.input_size``.

    Raises:
        ConfigError, SpaceError: as `build_limit`.
    """
    size = tuple(cfg.search.input_size)
    if name == "latency":
        table = cfg.search.get("latency_table")
        if table is None:
            raise ConfigError(
                "A search that looks at latency needs search.latency_table; make one on the device "
                "at hand: python -m detnas_d2.evaluation.latency CONFIG --output latency.json"
            )
        return LatencyTable.read(table).cost(space, size)
    return CostTable(space, size).flops if name == "flops" else CostTable(space, size).params


def _warn_of_error(file: str, table: LatencyTable) -> None:
    error = table.check.get("median_error")
    if isinstance(error, (int, float)) and error > LATENCY_ERROR:
        logger.warning(
            "search.latency_table %s was off by %.0f%% (median) on the whole networks that it was "
            "checked against; measure it again on an idle machine to have less than %.0f%%",
            *(file, 100 * error, 100 * LATENCY_ERROR),
        )


def build_algorithm(cfg: DictConfig, space: SearchSpace, limit: Limit) -> SearchAlgorithm:
    """``cfg.search.algorithm`` on `space`, with the limit, the seed, what it begins with, and the
    costs that its ``costs`` name.

    Raises:
        ConfigError: an algorithm that can't begin with given architectures; an unknown cost.
        SearchError, ArchitectureError, LedgerError: settings that can't work.
        SpaceError: a latency table's, as `build_cost`.
    """
    search = cfg.search
    arguments: dict[str, Any] = {**search.algorithm, "space": space, "limit": limit}
    arguments["seed"] = search.seed
    target = search.algorithm._target_
    target = locate(target) if isinstance(target, str) else target
    for key in ("initial", "initial_ledger"):
        if search.get(key) is None:
            continue
        if key not in inspect.signature(target).parameters:
            raise ConfigError(
                f"search.{key} is set, but {target.__name__} takes no architectures to begin with; "
                f"set search.{key} to null or choose another search.algorithm."
            )
        arguments[key] = search[key]
    if "costs" in search.algorithm:
        arguments["costs"] = _costs(cfg, space, search.algorithm.costs)
    algorithm: SearchAlgorithm = instantiate(arguments)
    return algorithm


def _costs(cfg: DictConfig, space: SearchSpace, names: list[str]) -> dict[str, CostFunction]:
    for name in names:
        if name not in COSTS:
            raise ConfigError(
                f"search.algorithm.costs: there is no cost {name!r}; known are {', '.join(COSTS)}."
            )
    return {name: build_cost(cfg, space, name) for name in names}
