"""How well the fitness ranks networks: ranking.json, which tools/rank.py writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from ..files import parse_json
from ..ranking import RANKING_FILE, in_words, table
from .style import ACCENT, MUTED, PAPER, WARM, Chart, finish, new_figure


def ranking_part(folder: Path, png: Path) -> dict[str, Any]:
    """Of a search's folder what template.html shows; nothing without the file.

    Raises:
        any Exception: it can't be read, or holds something else.
    """
    file = folder / RANKING_FILE
    if not file.exists():
        return {}
    content = parse_json(file.read_bytes())
    *words, meaning = in_words(content)
    head, *rows = table(content)
    shown = {"words": words, "meaning": meaning, "head": head, "rows": rows}
    return {"ranking": {**shown, "chart": ranking_chart(content, png)}}


def ranking_chart(content: Mapping[str, Any], png: Path) -> Chart:
    """Each network's figure alone, the mean of its seeds, against its fitness."""
    networks, tau = content["networks"], content["figures"]["fitness"]["tau"]["value"]
    fitness = np.array([n["fitness"] for n in networks], dtype=float)
    alone = np.array([fmean(n["alone"]) for n in networks])
    spread = np.array([(min(n["alone"]), max(n["alone"])) for n in networks])
    figure = new_figure(2.9)
    axes = figure.add_subplot()
    axes.vlines(fitness, *spread.T, color=MUTED, lw=0.8, alpha=0.55)
    axes.plot(fitness, alone, "o", color=ACCENT, alpha=0.7, ms=3.2, mew=0)
    axes.plot(fitness[:1], alone[:1], "D", color=WARM, mec=PAPER, ms=7, label="best by fitness")
    axes.set_xlabel(f"fitness: {content['fitness']['metric']}")
    axes.set_ylabel(f"{content['alone']['metric']}, trained alone")
    figure.legend(loc="outside lower center")
    by = "undefined" if tau is None else f"{tau:.2f}"
    return finish(
        figure,
        png,
        f"Fitness of {len(networks)} networks against what they reach trained alone: Kendall's tau "
        f"{by}.",
        "A dot is a network, a line through it the range of its seeds. Where the fitness ranks "
        "well, dots rise from left to right.",
    )
