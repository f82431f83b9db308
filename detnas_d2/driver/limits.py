"""The costs of a candidate, and the limits on them that a config sets."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from ..engine import ConfigError, backbone_node
from ..search import CostLimit, CostLimits
from ..space import BlockCost, CostTable, LatencyTable, SearchSpace, memory_cost

COSTS = ("flops", "params", "latency", "memory")


def build_limit(cfg: DictConfig, space: SearchSpace) -> tuple[CostTable, CostLimits]:
    """The cost table of ``search.input_size``, and those of ``search.flops_limit``,
    ``params_limit``, ``latency_limit`` and ``memory_limit`` that are not null.

    Raises:
        ConfigError: a limit that is no positive number, or one of latency without a table.
        SpaceError: a latency table that is damaged, or was measured for something else.
        LimitError: no architecture meets them; it names the nearest feasible values.
    """
    limits = []
    for name in COSTS:
        key = f"{name}_limit"
        maximum = cfg.search.get(key)
        if maximum is None:
            continue
        if isinstance(maximum, bool) or not isinstance(maximum, (int, float)) or not maximum > 0:
            raise ConfigError(f"search.{key} is {maximum!r}; expected a number above 0, or null.")
        limits.append(CostLimit(build_cost(cfg, space, name), maximum))
    if cfg.search.get("latency_table") is not None:
        build_cost(cfg, space, "latency")  # a table that doesn't fit is refused, used or not
    limit = CostLimits(space, limits)
    limit.witness()
    return CostTable(space, tuple(cfg.search.input_size)), limit


def build_cost(cfg: DictConfig, space: SearchSpace, name: str) -> BlockCost[Any]:
    """One of COSTS, at ``search.input_size``.

    Raises:
        ConfigError, SpaceError: as `build_limit`.
    """
    size = tuple(cfg.search.input_size)
    if name == "memory":
        features = backbone_node(cfg).get("out_features") or ()
        features = [features] if isinstance(features, str) else list(features)
        return memory_cost(space, size, features)
    if name == "latency":
        table = cfg.search.get("latency_table")
        if table is None:
            raise ConfigError(
                "A search that looks at latency needs search.latency_table; make one on the device "
                "at hand: python -m detnas_d2.evaluation.latency CONFIG --output latency.json"
            )
        return LatencyTable.read(table).cost(space, size)
    return CostTable(space, size).flops if name == "flops" else CostTable(space, size).params
