"""The best network beside the baseline: block by block, and by stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..space import Architecture
from .search_file import SearchFile
from .style import INK, LINE, MUTED, Chart, category, finish, new_figure, quiet_axes, short
from .texts import millions

_LABEL: dict[str, Any] = {"va": "center_baseline", "fontsize": 7}


def network_chart(best: Architecture, told: SearchFile, png: Path) -> Chart:
    """Each block's choice and multiply-adds, of the best and of the baseline."""
    flops, names = told.costs["flops"], [c.name for c in told.space.choices]
    figure = new_figure(0.75 + 0.165 * (len(best) + 1))
    stages, left, right = figure.subplots(1, 3, sharey=True, width_ratios=(0.8, 1, 1))
    for axes, network, title in ((left, told.baseline, "baseline"), (right, best, "best")):
        _bars(axes, network, told, f"{title}: {flops(network) / 1e6:,.1f} M")
    quiet_axes(stages)
    stages.tick_params(labelleft=False, labelbottom=False)
    stages.set(xlim=(0, 1), ylim=(len(best) + 0.6, -0.6))
    row = 0
    for stage in told.stages:
        stages.text(0, row, stage.name, color=INK, weight="bold", **_LABEL)
        shape = f"{stage.size}, {stage.channels} ch."
        at = (0, row + 1) if stage.blocks > 1 else (0.3, row)
        stages.text(*at, shape, color=MUTED, **_LABEL)
        for axes in (stages, left, right) if row else ():
            axes.axhline(row - 0.5, color=MUTED, lw=0.6)
        row += max(stage.blocks, 1)
    figure.supxlabel("multiply-adds of a block, M", fontsize=8, color=MUTED)
    changed = sum(a != b for a, b in zip(best, told.baseline, strict=True))
    (first, *others) = dict.fromkeys(told.baseline)
    base = "its first choice that fits" if others else names[first]
    blocks = "; ".join(
        f"block {i} {names[c]}, {cost / 1e6:.2f} M"
        for i, (c, cost) in enumerate(zip(best, flops.of_blocks(best), strict=True), 1)
    )
    return finish(
        figure,
        png,
        f"The best network and the baseline ({base} in every block), block by block: {blocks}.",
        f"Bars are multiply-adds at {told.input_size}, colours are choices. {changed} of "
        f"{len(best)} blocks differ from the baseline, which has {base} in each. Resolutions and "
        "channels are those of a stage's output.",
    )


def _bars(axes: Axes, network: Architecture, told: SearchFile, title: str) -> None:
    flops = told.costs["flops"]
    most = max(flops.blocks.max(), flops.stem) / 1e6
    rows = [(flops.stem, LINE, "stem")]
    rows += [
        (cost, category(c), short(told.space.choices[c].name, 14))
        for c, cost in zip(network, flops.of_blocks(network), strict=True)
    ]
    for i, (cost, colour, name) in enumerate(rows):
        axes.barh(i, cost / 1e6, height=0.74, color=colour)
        axes.text(cost / 1e6 + 0.02 * most, i, name, color=INK, **_LABEL)
    axes.set_title(title)
    quiet_axes(axes)
    axes.grid(axis="x", visible=True)
    axes.set_xlim(0, 1.45 * most)  # room for the names
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(labelleft=False)


def stage_rows(best: Architecture, told: SearchFile) -> list[dict[str, Any]]:
    """A row for the stem, each stage and the total: shape, and the costs of best and baseline."""
    first = np.cumsum([0, *(s.blocks for s in told.stages[1:-1])])  # block of each stage
    columns: dict[str, list[str]] = {}
    for prefix, network in (("", best), ("base_", told.baseline)):
        for name, text in (("flops", millions), ("params", lambda n: f"{n / 1e6:.3f}")):
            cost = told.costs[name]
            stages = np.add.reduceat(cost.of_blocks(network), first)
            columns[prefix + name] = [text(x) for x in (cost.stem, *stages, cost(network))]
    shapes = [(s.name, (s.size, s.channels)) for s in told.stages] + [("total", ("", ""))]
    return [
        {"name": name, "shape": shape, **{key: column[i] for key, column in columns.items()}}
        for i, (name, shape) in enumerate(shapes)
    ]
