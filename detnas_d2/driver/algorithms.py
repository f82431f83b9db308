"""The search algorithm that a config names."""

from __future__ import annotations

from typing import Any

from detectron2.config import instantiate
from omegaconf import DictConfig

from ..search import Evaluate, Limit
from ..space import SearchSpace


def build_algorithm(cfg: DictConfig, space: SearchSpace, evaluate: Evaluate, limit: Limit) -> Any:
    """``cfg.search.algorithm`` on `space`: an object whose ``run()`` gives a SearchResult."""
    node = cfg.search.algorithm
    seed = cfg.search.seed
    return instantiate({**node, "space": space, "evaluate": evaluate, "limit": limit, "seed": seed})


def candidates(cfg: DictConfig) -> int:
    """How many candidates the search evaluates at most."""
    algorithm = cfg.search.algorithm
    if "architectures" in algorithm:
        return len(algorithm.architectures)
    return algorithm.get("count") or algorithm.population * algorithm.generations
