"""The search algorithm that a config names."""

from __future__ import annotations

import inspect
from typing import Any

from detectron2.config import instantiate
from detectron2.utils.registry import locate
from omegaconf import DictConfig

from ..engine import ConfigError
from ..search import Limit, SearchAlgorithm
from ..search.pareto import CostFunction
from ..space import SearchSpace
from .limits import COSTS, build_cost


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
