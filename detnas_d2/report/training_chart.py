"""The curves of a training: losses, metrics of its evaluations, learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .style import ACCENT, INK, WARM, Chart, category, finish, new_figure

_POINTS = 400  # of a curve; more can't be seen
_METRICS = ("bbox/AP", "bbox/AP50", "classification/top1", "classification/top5")


def training_chart(lines: Sequence[Mapping[str, Any]], name: str, png: Path) -> Chart | None:
    """The curves in the lines of a metrics.json; None where there is no loss in them."""
    total = _curve(lines, "total_loss")
    if not len(total):
        return None
    evaluated = [key for key in metric_names(lines)[:2] if len(_curve(lines, key))]
    several = bool(evaluated) and len(_curve(lines, evaluated[0])) > 1
    lr = _curve(lines, "lr")
    heights = [1.7, *([0.9] if several else []), *([0.6] if len(lr) else [])]
    figure = new_figure(0.6 + sum(heights))
    losses, *below = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, height_ratios=heights
    )[:, 0]
    _losses(losses, lines, total)
    if several:
        _metrics(below[0], lines, evaluated)
    if len(lr):
        below[-1].plot(*lr.T, color=INK, lw=1)
        below[-1].set_ylabel("learning\nrate")
        below[-1].set_ylim(bottom=0)
    [losses, *below][-1].set_xlabel("iterations")
    last = max(int(line["iteration"]) for line in lines) + 1
    results = "".join(f" {key}: {_curve(lines, key)[-1, 1]:.2f} at the end." for key in evaluated)
    return finish(
        figure,
        png,
        f"Training {name}, {last:,} iterations: the total loss goes from {total[0, 1]:.3f} to "
        f"{total[-1, 1]:.3f}." + results,
        results,
    )


def metric_names(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The metrics of evaluations that the lines hold, the main one first."""
    keys = {k for line in lines for k in line}
    main = [k for k in _METRICS if k in keys]
    return main or sorted(k for k in keys if k.startswith(("bbox/", "classification/")))


def _losses(axes: Axes, lines: Sequence[Mapping[str, Any]], total: np.ndarray) -> None:
    parts = sorted({k for line in lines for k in line if k.startswith("loss")})
    for i, key in enumerate(parts[:6] if len(parts) > 1 else []):
        axes.plot(*_curve(lines, key).T, color=category(i), lw=0.9, label=key)
    axes.plot(*total.T, color=INK, lw=1.6, label="total loss")
    if len(total) == 1:
        axes.plot(*total.T, "o", color=INK, ms=4)
    axes.set_ylabel("loss")
    top = np.percentile(total[:, 1], 98)  # the first iterations may be far above
    axes.set_ylim(0, 1.1 * top if top > 0 else None)
    _legend_above(axes, columns=3)


def _metrics(axes: Axes, lines: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> None:
    for key, colour in zip(keys, (ACCENT, WARM), strict=False):
        curve = _curve(lines, key)
        axes.plot(*curve.T, "o-", color=colour, ms=3.5, label=f"{key}, last {curve[-1, 1]:.2f}")
    axes.set_ylabel("evaluation")
    _legend_above(axes, columns=2)


def _legend_above(axes: Axes, columns: int) -> None:
    """Outside of the axes, where no curve can run below it."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, fontsize=7, borderaxespad=0.2
    )


def _curve(lines: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    """(N, 2) iterations and values that are finite, thinned to at most _POINTS, the last kept."""
    points = [
        (line["iteration"] + 1, value)
        for line in lines
        if isinstance(value := line.get(key), (int, float)) and abs(value) < float("inf")
    ]
    step = -(-len(points) // _POINTS) or 1
    return np.array(points[::-1][::step][::-1], dtype=float).reshape(-1, 2)
