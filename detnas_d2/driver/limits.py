"""The limits on a candidate's cost that a config sets."""

from __future__ import annotations

from omegaconf import DictConfig

from ..search import FlopsLimit, Limit
from ..space import CostTable, SearchSpace


def build_limit(cfg: DictConfig, space: SearchSpace) -> tuple[CostTable, Limit]:
    """The cost table of ``search.input_size`` and the limits of the config.

    Raises:
        LimitError: no architecture meets them; it names the nearest feasible value.
    """
    cost = CostTable(space, tuple(cfg.search.input_size))
    limit = FlopsLimit(cost, cfg.search.flops_limit)
    limit.witness()
    return cost, limit
