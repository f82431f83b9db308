"""Charts of a search: fitness, costs, and what the choices did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..search import Evaluation, non_dominated, rank
from .figures import choice_shares, runs_of, shares_by_generation, top_of
from .search_file import Cost, StageShape
from .style import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    PAPER,
    WARM,
    Chart,
    category,
    finish,
    new_figure,
    quiet_axes,
    short,
)

_MANY = 1500  # points beyond which an SVG holds them as a picture
_CENTRED: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": 6}
_LABELS = {
    "flops": ("multiply-adds, M", 1e-6),
    "params": ("parameters, M", 1e-6),
    "latency": ("latency, ms", 1.0),
}


def fitness_chart(evaluations: Sequence[Evaluation], metric: str, png: Path) -> Chart:
    """Fitness by place in the search, the best so far and each generation's median."""
    figure = new_figure(2.9)
    axes = figure.add_subplot()
    values = _fitness(evaluations)
    places = np.arange(1, len(values) + 1)
    best = np.fmax.accumulate(values)
    _points(axes, places, values)
    runs = runs_of(evaluations)
    for k, run in enumerate(runs):
        label = "generation's median" if k == 0 else None
        axes.plot(
            [run.first - 0.4, run.last + 0.4], [run.median] * 2, color=WARM, lw=1.6, label=label
        )
        if k:
            axes.axvline(run.first - 0.5, color=LINE, lw=0.6, zorder=0)
    axes.plot(places, best, color=ACCENT, drawstyle="steps-post", label="best so far")
    failed = places[np.isnan(values)]
    if len(failed):
        bottom = np.full(len(failed), np.nanmin(values))
        label = f"failed ({len(failed)})"
        axes.plot(failed, bottom, "x", color=INK, ms=4, mew=0.9, label=label)
    if len(runs) > 1:  # numbers along the upper edge, as many as there is room for
        upper = axes.secondary_xaxis("top")
        shown = runs[:: -(-len(runs) // 12)]
        middles = [(run.first + run.last) / 2 for run in shown]
        upper.set_xticks(middles, [str(run.generation) for run in shown])
        upper.set_xlabel("generation", color=MUTED)
        upper.tick_params(length=0, pad=1)
        upper.spines["top"].set_visible(False)
    axes.set(xlabel="candidates, in the order of their evaluation", ylabel=f"fitness: {metric}")
    axes.grid(axis="x", visible=False)
    axes.set_xlim(0.5 - 0.01 * len(values), len(values) + 0.5 + 0.01 * len(values))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend_below(figure, axes)
    return finish(
        figure,
        png,
        f"Fitness of {len(values)} candidates in the order of their evaluation. The best so far "
        f"rises from {best[~np.isnan(best)][0]:.2f} to {best[-1]:.2f} {metric}.",
        "Each dot is a candidate. A search that works lifts the medians from generation to "
        "generation; a line of the best that has long been flat says that more candidates would "
        "hardly help.",
    )


def cost_chart(evaluations: Sequence[Evaluation], cost: Cost, metric: str, png: Path) -> Chart:
    """Fitness against a cost, with the Pareto front and the limit."""
    label, factor = _LABELS.get(cost.name, (f"{cost.name}, {cost.unit}", 1.0))
    figure = new_figure(2.9)
    axes = figure.add_subplot()
    ranked = rank(evaluations)
    in_ledger = cost.name in ("flops", "params")
    costs = [getattr(e, cost.name) if in_ledger else cost(e.architecture) for e in ranked]
    values = factor * np.array(costs, dtype=float)
    fitness = _fitness(ranked)
    front = sorted(non_dominated(np.column_stack([values, -fitness])), key=values.__getitem__)
    _points(axes, values, fitness)
    axes.plot(
        *(values[front], fitness[front], "o-"),
        color=ACCENT,
        drawstyle="steps-post",
        ms=4,
        label=f"Pareto front ({len(front)})",
    )
    axes.plot(values[:1], fitness[:1], "D", color=WARM, mec=PAPER, ms=7, label="best", zorder=5)
    limit = ""
    if cost.limit is not None:
        limit = f"limit {factor * cost.limit:,.6g}"
        axes.axvline(factor * cost.limit, color=INK, lw=1, ls=(0, (4, 3)), label=limit)
        limit = f", the {limit}"
    axes.set(xlabel=label, ylabel=f"fitness: {metric}")
    _legend_below(figure, axes)
    return finish(
        figure,
        png,
        f"Fitness against {label}: {len(ranked)} candidates from {values.min():,.4g} to "
        f"{values.max():,.4g}{limit}; {len(front)} are on the Pareto front.",
        "The step line is the Pareto front: no candidate has as much fitness at less cost. Where "
        "it is flat towards the limit, a smaller network would do nearly as well.",
    )


def top_choices_chart(
    evaluations: Sequence[Evaluation], stages: Sequence[StageShape], png: Path
) -> Chart:
    """How often each choice stands in each block among the best."""
    top = top_of(evaluations)
    space = top[0].architecture.space
    shares = choice_shares(top)
    blocks, options = shares.shape
    figure = new_figure(0.95 + 0.26 * options)
    axes = figure.add_subplot()
    for b in range(blocks):
        for c in range(options):
            share = shares[b, c]
            axes.add_patch(Rectangle((b, c), 0.92, 0.92, fc=LINE, alpha=0.4, lw=0))
            if share:
                axes.add_patch(Rectangle((b, c), 0.92, 0.92, fc=ACCENT, alpha=share, lw=0))
            if share and blocks <= 24:
                colour = PAPER if share > 0.65 else INK
                axes.text(b + 0.46, c + 0.5, f"{100 * share:.0f}", color=colour, **_CENTRED)
        axes.add_patch(
            Rectangle((b, top[0].architecture[b]), 0.92, 0.92, fill=False, ec=WARM, lw=1.5)
        )
    first = 0
    for stage in stages:
        if first:
            axes.axvline(first - 0.04, color=INK, lw=0.8)
        middle = first + stage.blocks / 2
        axes.text(middle, -0.25, stage.name, color=MUTED, ha="center", fontsize=7)
        first += stage.blocks
    axes.set(xlim=(-0.1, blocks), ylim=(options, -0.7), xlabel="block, from the stem on")
    step = 1 if blocks <= 24 else 4
    ticks = np.arange(0, blocks, step)
    axes.set_xticks(ticks + 0.46, [str(t + 1) for t in ticks])
    axes.set_yticks(np.arange(options) + 0.5, [short(c.name) for c in space.choices])
    quiet_axes(axes)
    return finish(
        figure,
        png,
        f"Heat map of the {len(top)} best candidates: how often each of {options} choices stands "
        f"in each of {blocks} blocks, in percent.",
        f"Per cent of the {len(top)} best candidates that have a choice in a block; the outline is "
        "the best network's. Dark columns are blocks in which the search is sure; even ones are "
        "blocks in which the choice matters little, or that it has not made up its mind about.",
    )


def generations_chart(evaluations: Sequence[Evaluation], png: Path) -> Chart:
    """The choices' shares of all blocks, generation by generation."""
    space = evaluations[0].architecture.space
    shares = shares_by_generation(evaluations)
    figure = new_figure(2.4)
    axes = figure.add_subplot()
    bottom = np.zeros(len(shares))
    for c, choice in enumerate(space.choices):
        height = 100 * np.array([s[c] for s in shares.values()])
        axes.bar(
            range(len(shares)),
            height,
            bottom=bottom,
            width=0.86,
            color=category(c),
            label=short(choice.name),
        )
        bottom += height
    axes.set(xlabel="generation", ylabel="% of all blocks", ylim=(0, 100))
    axes.set_xlim(-0.6, max(len(shares), 6) - 0.4)
    step = max(1, len(shares) // 12)
    ticks = range(0, len(shares), step)
    axes.set_xticks(ticks, [str(list(shares)[t]) for t in ticks])
    axes.grid(axis="x", visible=False)
    _legend_below(figure, axes)
    first, last = (100 * list(shares.values())[i] for i in (0, -1))
    changes = ", ".join(
        f"{choice.name} from {a:.0f} to {b:.0f} %"
        for choice, a, b in zip(space.choices, first, last, strict=True)
    )
    return finish(
        figure,
        png,
        f"Shares of the choices in {len(shares)} generations: {changes}.",
        "Which share of all blocks has each choice. The first generation is random, but for the "
        "limit; what grows from there on is what the search prefers.",
    )


def _fitness(evaluations: Sequence[Evaluation]) -> NDArray[np.float64]:
    """(N,), NaN of those that failed."""
    return np.array([np.nan if e.fitness is None else e.fitness for e in evaluations])


def _points(axes: Axes, x: Any, y: Any) -> None:
    size = 2.2 if len(x) > 300 else 3.2
    look: dict[str, Any] = {"color": MUTED, "alpha": 0.55, "ms": size, "mew": 0, "zorder": 1.5}
    axes.plot(x, y, "o", rasterized=len(x) > _MANY, **look)


def _legend_below(figure: Any, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(len(labels), 4), columnspacing=1.2
    )
