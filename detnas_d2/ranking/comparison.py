"""``ranking.json``: networks' fitness beside what they reach alone, figures, and their meaning.

It holds ``fitness`` and ``alone`` (each with ``metric`` and ``images``; alone with ``source`` too),
``networks`` (each with ``architecture``, ``fitness``, ``alone``: a figure a seed, ``flops``; most
fitness first), ``candidates`` (of the search), ``failed`` and ``not_scored`` (networks trained
alone that the search tried in vain, or never), ``figures`` (see `rank_figures`) and ``meaning``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import DetNASError
from ..search import Evaluation, rank
from ..space import Architecture
from .figures import LEAST, rank_figures

RANKING_FILE = "ranking.json"


class RankingError(DetNASError):
    """Networks that can't be compared."""


def compare(
    evaluations: Sequence[Evaluation],
    alone: Mapping[Architecture, Sequence[float]],
    fitness_of: Mapping[str, str],
    alone_of: Mapping[str, str],
) -> dict[str, Any]:
    """
    Args:
        evaluations: of the search.
        alone: a figure for each seed of the networks that were trained alone.
        fitness_of, alone_of: what was measured on which images, as the file has it.

    Returns:
        the content of RANKING_FILE, for JSON.

    Raises:
        RankingError: fewer than LEAST networks have both.
    """
    both = [e for e in rank(evaluations) if e.architecture in alone]
    failed = sum(not e.ok and e.architecture in alone for e in evaluations)
    if len(both) < LEAST:
        raise RankingError(
            f"{len(both)} of the {len(alone)} networks trained alone have a fitness in this search "
            f"({failed} failed in it); an order needs at least {LEAST}. To score given networks: "
            "search.algorithm GivenArchitectures (docs/report.md)."
        )
    seeds = [list(alone[e.architecture]) for e in both]
    figures = rank_figures([e.fitness or 0.0 for e in both], seeds, [e.flops for e in both])
    networks = [
        {"architecture": list(e.architecture), "fitness": e.fitness, "alone": a, "flops": e.flops}
        for e, a in zip(both, seeds, strict=True)
    ]
    return {
        "fitness": dict(fitness_of),
        "alone": dict(alone_of),
        "candidates": len(evaluations),
        "failed": failed,
        "not_scored": len(alone) - len(both) - failed,
        "networks": networks,
        "figures": figures,
        "meaning": _meaning(figures),
    }


def in_words(content: Mapping[str, Any]) -> list[str]:
    """What was compared, and what it means, in sentences."""
    networks, figures = content["networks"], content["figures"]
    fitness, alone = content["fitness"], content["alone"]
    seeds = {len(n["alone"]) for n in networks}
    to = f" to {max(seeds)}" if len(seeds) > 1 else ""
    lines = [
        f"{len(networks)} networks ({alone['source']}), trained alone with {min(seeds)}{to} "
        f"seed{'s' * (max(seeds) > 1)} each; the search tried {content['candidates']}.",
        f"Compared are fitness, {fitness['metric']} on {fitness['images']}, and {alone['metric']} "
        f"alone on {alone['images']}.",
    ]
    for key, what in (("failed", "failed in the search"), ("not_scored", "not scored by it")):
        if content[key]:
            lines.append(f"Of those trained alone {content[key]} are left out, {what}.")
    shares = [figures[key]["in_order"]["value"] for key in ("fitness", "flops")]
    if None not in shares:
        lines.append(
            f"The fitness orders {shares[0]:.0%} of pairs as training alone does; multiply-adds "
            f"alone order {shares[1]:.0%}; chance, 50%."
        )
    if seeds_agree := figures["seeds"]:
        one, most = (_interval(seeds_agree[key]) for key in ("tau", "ceiling"))
        lines.append(
            f"One seed's figures agree with another's by tau {one}, over {seeds_agree['networks']} "
            f"networks; that of a fitness can hardly be above {most}."
        )
    return [*lines, content["meaning"]]


def table(content: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Rows, the first is the head: what, of fitness, of multiply-adds alone; 95% in brackets."""
    figures = content["figures"]
    fitness, flops = figures["fitness"], figures["flops"]
    rows: list[tuple[str, ...]] = [("", "fitness", "multiply-adds")]
    names = {"tau": "Kendall's tau", "near": "tau, at about the same cost", "rho": "Spearman's rho"}
    for key, name in names.items():
        if fitness[key]:
            rows.append((name, _interval(fitness[key]), _interval(flops[key])))
    if figures["seeds"]:
        rows.append(("ceiling of tau, by seeds", _interval(figures["seeds"]["ceiling"]), ""))
    is_order = fitness["tau"]["value"] is not None  # else all are among the best
    for pair in zip(fitness["best"], flops["best"], strict=True) if is_order else ():
        k, metric = pair[0]["k"], content["alone"]["metric"]
        cells = (f"{at['precision']:.0%}, {at['regret']:.2f} {metric}" for at in pair)
        rows.append((f"precision and regret at {k}", *cells))
    return rows


def _meaning(figures: Mapping[str, Any]) -> str:
    tau, near = figures["fitness"]["tau"], "near" in figures["gain"]
    gain = figures["gain"]["near" if near else "tau"]
    where = " among networks of about the same cost" if near else ""
    if tau["value"] is None:
        return (
            "All have the same fitness, or reach the same alone: there is no order to compare, and "
            "the trainings, the supernet's first, were too short."
        )
    if figures["p"] > 0.05 or tau["low"] <= 0 <= tau["high"]:
        return (
            "This order can't be told from chance: either the fitness ranks poorly, or these are "
            "too few networks to say; train more alone."
        )
    if tau["value"] < 0:
        return "The order is the wrong way round: do not choose by this fitness."
    if gain["low"] is None or gain["low"] <= 0:
        return (
            "The fitness tells better networks from worse, but not surely better than their "
            f"multiply-adds do{where}: the dearest network under the limit may be as good a find."
        )
    return (
        f"The fitness tells better networks from worse, and more than their multiply-adds do{where}"
        ": choosing by it pays."
    )


def _interval(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return _number(figure)
    return f"{_number(figure)} ({figure['low']:.2f} to {figure['high']:.2f})"


def _number(figure: Mapping[str, Any]) -> str:
    return "undefined" if figure["value"] is None else f"{figure['value']:.2f}"
