"""The end of a whole run: what was searched, what the networks reach on the test set."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from ..search import read_ledger
from ..space import SearchSpace


def summarise(
    search_dir: str | os.PathLike[str],
    space: SearchSpace,
    tests: Mapping[str, str | os.PathLike[str]],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Gather a run's figures.

    Args:
        search_dir: the folder with ``ledger.jsonl``.
        space: the space that was searched.
        tests: name of a network -> its ``evaluation.json``.
        seconds: wall time by step.

    Returns:
        for each of `tests` ``AP`` and ``AP50`` in percent; ``search`` with ``evaluated``,
        ``best_fitness`` and ``mean_random_fitness`` (over generation 0, which is random);
        ``seconds``.
    """
    _, evaluations = read_ledger(os.path.join(search_dir, "ledger.jsonl"), space)
    fitness = [e.fitness for e in evaluations if e.fitness is not None]
    random_fitness = [e.fitness for e in evaluations if e.generation == 0 and e.fitness is not None]
    summary: dict[str, Any] = {}
    for name, path in tests.items():
        with open(path) as f:
            metrics = json.load(f)
        # a network that detects nothing has no metrics, or NaN, which is null in the file
        summary[name] = {m: metrics.get(f"bbox/{m}") for m in ("AP", "AP50")}
    summary["search"] = {
        "evaluated": len(evaluations),
        "best_fitness": max(fitness),
        "mean_random_fitness": math.fsum(random_fitness) / len(random_fitness),
    }
    summary["seconds"] = dict(seconds)
    return summary


def summary_table(summary: Mapping[str, Any]) -> str:
    """The summary for a reader, figures rounded.

    Args:
        summary: of :func:`summarise`; a network may have the ``seconds`` of its training, too.
    """
    search = summary["search"]
    lines = [
        f"search: {search['evaluated']} architectures, best fitness {search['best_fitness']:.2f}, "
        f"mean of the random ones {search['mean_random_fitness']:.2f}",
        f"{'network':24s}{'AP':>8s}{'AP50':>8s}"
        + ("  training" if "seconds" in summary.get("test", ()) else ""),
    ]
    for key, label in (
        ("test", "searched, test set"),
        ("finetuned", "fine-tuned, test set"),
        ("random", "random, test set"),
    ):
        if key in summary:
            figures = (summary[key][m] for m in ("AP", "AP50"))
            cells = "".join("    none" if f is None else f"{f:8.2f}" for f in figures)
            spent = summary[key].get("seconds")
            lines.append(f"{label:24s}{cells}" + ("" if spent is None else f"{spent:8.0f} s"))
    total = sum(summary["seconds"].values())
    lines.append(f"{'step':24s}{'seconds':>8s}")
    lines += [f"{step:24s}{s:8.0f}" for step, s in summary["seconds"].items()]
    lines.append(f"{'total':24s}{total:8.0f}")
    return "\n".join(lines)
