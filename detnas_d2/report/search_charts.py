"""Charts of a search: fitness, costs, and what the choices did."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..search import Evaluation, non_dominated
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
    ticks, first, label = [], 0, "generation's median"
    for generation, group in itertools.groupby(e.generation for e in evaluations):
        last = first + len(list(group))
        found = values[first:last][~np.isnan(values[first:last])]
        if len(found):
            axes.plot([first + 0.6, last + 0.4], [np.median(found)] * 2, color=WARM, label=label)
            label = ""
        if first:
            axes.axvline(first + 0.5, color=LINE, lw=0.6, zorder=0)
        ticks.append(((first + 1 + last) / 2, str(generation)))
        first = last
    axes.plot(places, best, color=ACCENT, drawstyle="steps-post", label="best so far")
    failed = places[np.isnan(values)]
    if len(failed):
        bottom = np.full(len(failed), np.nanmin(values))
        axes.plot(failed, bottom, "x", color=INK, ms=4, label=f"failed ({len(failed)})")
    if len(ticks) > 1:  # numbers along the upper edge, as many as there is room for
        upper = axes.secondary_xaxis("top")
        upper.set_xticks(*zip(*ticks[:: -(-len(ticks) // 12)], strict=True))
        upper.set_xlabel("generation", color=MUTED)
        quiet_axes(upper)
    axes.set(xlabel="candidates, in the order of their evaluation", ylabel=f"fitness: {metric}")
    axes.grid(axis="x", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend_below(axes)
    return finish(
        figure,
        png,
        f"Fitness of {len(values)} candidates in the order of their evaluation. The best so far "
        f"rises from {best[~np.isnan(best)][0]:.2f} to {best[-1]:.2f} {metric}.",
        "Each dot is a candidate. A search that works lifts the medians from generation to "
        "generation; a line of the best that has long been flat says that more candidates would "
        "hardly help.",
    )


def cost_chart(ranked: Sequence[Evaluation], cost: Cost, metric: str, png: Path) -> Chart:
    """Fitness of candidates, best first, against a cost, with the Pareto front and the limit."""
    label, factor = _LABELS.get(cost.name, (f"{cost.name}, {cost.unit}", 1.0))
    figure = new_figure(2.9)
    axes = figure.add_subplot()
    values = factor * np.array([cost(e.architecture) for e in ranked])
    fitness = _fitness(ranked)
    front = sorted(non_dominated(np.column_stack([values, -fitness])), key=values.__getitem__)
    _points(axes, values, fitness)
    look: dict[str, Any] = {"color": ACCENT, "drawstyle": "steps-post", "ms": 4}
    axes.plot(values[front], fitness[front], "o-", label=f"Pareto front ({len(front)})", **look)
    axes.plot(values[:1], fitness[:1], "D", color=WARM, mec=PAPER, ms=7, label="best", zorder=5)
    limit = ""
    if cost.limit is not None:
        limit = f"limit {factor * cost.limit:,.6g}"
        axes.axvline(factor * cost.limit, color=INK, lw=1, ls=(0, (4, 3)), label=limit)
        limit = f", the {limit}"
    axes.set(xlabel=label, ylabel=f"fitness: {metric}")
    _legend_below(axes)
    return finish(
        figure,
        png,
        f"Fitness against {label}: {len(ranked)} candidates from {values.min():,.4g} to "
        f"{values.max():,.4g}{limit}; {len(front)} are on the Pareto front.",
        "The step line is the Pareto front: no candidate has as much fitness at less cost. Where "
        "it is flat towards the limit, a smaller network would do nearly as well.",
    )


def top_choices_chart(
    ranked: Sequence[Evaluation], stages: Sequence[StageShape], png: Path
) -> Chart:
    """How often each choice stands in each block of the best tenth, but of ten at the least."""
    top = ranked[: max(10, math.ceil(len(ranked) / 10))]
    names = [short(c.name) for c in top[0].architecture.space.choices]
    shares = _shares(top)
    blocks, options = shares.shape
    figure = new_figure(0.95 + 0.26 * options)
    axes = figure.add_subplot()
    for (b, c), share in np.ndenumerate(shares):
        axes.add_patch(Rectangle((b, c), 0.92, 0.92, fc=LINE, alpha=0.4, lw=0))
        axes.add_patch(Rectangle((b, c), 0.92, 0.92, fc=ACCENT, alpha=share, lw=0))
        if share and blocks <= 24:
            colour = PAPER if share > 0.65 else INK
            axes.text(b + 0.46, c + 0.5, f"{100 * share:.0f}", color=colour, **_CENTRED)
    for b, c in enumerate(top[0].architecture):
        axes.add_patch(Rectangle((b, c), 0.92, 0.92, fill=False, ec=WARM, lw=1.5))
    first = 0
    for stage in stages:
        if first:
            axes.axvline(first - 0.04, color=INK, lw=0.8)
        axes.text(first + stage.blocks / 2, -0.25, stage.name, color=MUTED, ha="center", fontsize=7)
        first += stage.blocks
    axes.set(xlim=(-0.1, blocks), ylim=(options, -0.7), xlabel="block, from the stem on")
    ticks = np.arange(0, blocks, 1 if blocks <= 24 else 4)
    axes.set_xticks(ticks + 0.46, [str(t + 1) for t in ticks])
    axes.set_yticks(np.arange(options) + 0.5, names)
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
    choices = evaluations[0].architecture.space.choices
    generations = sorted({e.generation for e in evaluations})
    shares = np.array(
        [_shares([e for e in evaluations if e.generation == g]).mean(axis=0) for g in generations]
    )
    figure = new_figure(2.4)
    axes = figure.add_subplot()
    bottom = np.zeros(len(shares))
    for c, choice in enumerate(choices):
        look: dict[str, Any] = {"color": category(c), "label": short(choice.name), "width": 0.86}
        axes.bar(range(len(shares)), 100 * shares[:, c], bottom=bottom, **look)
        bottom += 100 * shares[:, c]
    axes.set(xlabel="generation", ylabel="% of all blocks", ylim=(0, 100))
    axes.set_xlim(-0.6, max(len(shares), 6) - 0.4)
    ticks = range(0, len(shares), max(1, len(shares) // 12))
    axes.set_xticks(ticks, [str(generations[t]) for t in ticks])
    axes.grid(axis="x", visible=False)
    _legend_below(axes)
    changes = ", ".join(
        f"{choice.name} from {100 * a:.0f} to {100 * b:.0f} %"
        for choice, a, b in zip(choices, shares[0], shares[-1], strict=True)
    )
    return finish(
        figure,
        png,
        f"Shares of the choices in {len(shares)} generations: {changes}.",
        "Which share of all blocks has each choice. The first generation is random, but for the "
        "limit; what grows from there on is what the search prefers.",
    )


def _shares(evaluations: Sequence[Evaluation]) -> NDArray[np.float64]:
    """(L, C): the share of the architectures that have choice c in block l."""
    choices = np.array([e.architecture.choices for e in evaluations])
    options = np.arange(evaluations[0].architecture.space.num_choices)
    return (choices[:, :, None] == options).mean(axis=0)


def _fitness(evaluations: Sequence[Evaluation]) -> NDArray[np.float64]:
    """(N,), NaN of those that failed."""
    return np.array([np.nan if e.fitness is None else e.fitness for e in evaluations])


def _points(axes: Axes, x: Any, y: Any) -> None:
    size = 2.2 if len(x) > 300 else 3.2
    look: dict[str, Any] = {"color": MUTED, "alpha": 0.55, "ms": size, "mew": 0, "zorder": 1.5}
    axes.plot(x, y, "o", **look)


def _legend_below(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": min(len(labels), 4)}
    axes.figure.legend(handles, labels, columnspacing=1.2, **place)
