"""The costs of the best network and of the baseline, by stage."""

from __future__ import annotations

from typing import Any

from ..space import Architecture, CostTable
from .network_chart import baseline_of, stage_shapes
from .texts import millions


def stage_rows(best: Architecture, table: CostTable) -> list[dict[str, Any]]:
    """A row for the stem and each stage: shape, and the costs of best and baseline."""
    base = baseline_of(best)
    rows = zip(table.by_stage(best), table.by_stage(base), stage_shapes(table), strict=True)
    return [
        {
            "name": name,
            "shape": shape,
            "flops": millions(flops),
            "base_flops": millions(base_flops),
            "params": f"{params / 1e6:.3f}",
            "base_params": f"{base_params / 1e6:.3f}",
        }
        for (name, flops, params), (_, base_flops, base_params), shape in rows
    ] + [
        {
            "name": "total",
            "shape": ("", ""),
            "flops": millions(table.flops(best)),
            "base_flops": millions(table.flops(base)),
            "params": f"{table.params(best) / 1e6:.3f}",
            "base_params": f"{table.params(base) / 1e6:.3f}",
        }
    ]
