"""The best network beside the baseline, block by block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from ..space import Architecture, CostTable
from ..space.cost import block_resolutions
from .style import INK, LINE, MUTED, Chart, category, finish, new_figure, quiet_axes

_ROW = 0.165  # inches


def baseline_of(best: Architecture) -> Architecture:
    """The first choice that fits in every block."""
    return Architecture(best.space, tuple(options[0] for options in best.space.options))


def network_chart(best: Architecture, cost: CostTable, png: Path) -> Chart:
    """Each block's choice and multiply-adds, of the best and of the baseline."""
    space = best.space
    base = baseline_of(best)
    figure = new_figure(0.75 + _ROW * (len(best) + 1))
    names, left, right = figure.subplots(1, 3, sharey=True, width_ratios=(0.8, 1, 1))
    for axes, network, title in ((left, base, "baseline"), (right, best, "best")):
        total = cost.flops(network) / 1e6
        _bars(axes, network, cost, f"{title}: {total:,.1f} M")
    _stages(names, (left, right), cost)
    names.set(xlim=(0, 1), ylim=(len(best) + 0.6, -0.6))
    figure.supxlabel("multiply-adds of a block, M", fontsize=8, color=MUTED)
    changed = sum(a != b for a, b in zip(best, base, strict=True))
    first = space.choices[0].name if space.fits_all else "its first choice that fits"
    return finish(
        figure,
        png,
        f"The best network and the baseline ({first} in every block), block by block: "
        + "; ".join(
            f"block {i + 1} {space.choices[c].name}, {cost.block_flops[i, c] / 1e6:.2f} M"
            for i, c in enumerate(best)
        )
        + ".",
        f"Bars are multiply-adds at {cost.input_size[0]}×{cost.input_size[1]}, colours are "
        f"choices. {changed} of {len(best)} blocks differ from the baseline, which has {first} "
        "in each. Resolutions and channels are those of a stage's output.",
    )


def _bars(axes: Axes, network: Architecture, cost: CostTable, title: str) -> None:
    most = max(cost.block_flops.max(), cost.stem_flops) / 1e6
    axes.barh(0, cost.stem_flops / 1e6, height=0.74, color=LINE)
    axes.text(cost.stem_flops / 1e6 + 0.02 * most, 0, "stem", color=MUTED, **_LABEL)
    for i, choice in enumerate(network):
        flops = cost.block_flops[i, choice] / 1e6
        axes.barh(i + 1, flops, height=0.74, color=category(choice))
        name = network.space.choices[choice].name
        name = name if len(name) <= 14 else name[:13] + "…"
        axes.text(flops + 0.02 * most, i + 1, name, color=INK, **_LABEL)
    axes.set_title(title)
    quiet_axes(axes)
    axes.grid(axis="x", visible=True)
    axes.set_xlim(0, 1.45 * most)  # room for the names
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(left=False, labelleft=False)


def stage_shapes(cost: CostTable) -> list[tuple[str, int]]:
    """(height×width in pixels, channels) of the output of stem and stages."""
    space = cost.space
    height, width = block_resolutions(space, cost.input_size)[0]
    shapes = [(f"{height}×{width}", space.stem_channels)]
    for stage in space.stages:
        height, width = -(-height // stage.stride), -(-width // stage.stride)
        shapes.append((f"{height}×{width}", stage.channels))
    return shapes


def _stages(names: Axes, bars: tuple[Axes, Axes], cost: CostTable) -> None:
    space = cost.space
    quiet_axes(names)
    names.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    (size, channels), *shapes = stage_shapes(cost)
    names.text(0, 0, f"stem  {size}, {channels} ch.", color=MUTED, **_LABEL)
    row = 1
    for name, stage, (size, channels) in zip(space.stage_names, space.stages, shapes, strict=True):
        shape = f"{size}, {channels} ch."
        if stage.blocks > 1:
            names.text(0, row, name, color=INK, weight="bold", **_LABEL)
            names.text(0, row + 1, shape, color=MUTED, **_LABEL)
        else:
            names.text(0, row, f"{name}  {shape}", color=INK, **_LABEL)
        for axes in (names, *bars):
            axes.axhline(row - 0.5, color=MUTED, lw=0.6)
        row += stage.blocks


_LABEL: dict[str, Any] = {"va": "center_baseline", "fontsize": 7}
