"""``search.json``: what a search is, for who looks at its folder and runs nothing of it.

It holds ``metric`` (the name of the fitness), ``weights`` (where those of candidates come from: as
`CandidateFitness` has it), ``algorithm``, ``candidates`` (of the whole search), ``input_size``
(height and width in pixels that costs are counted for), and:

* ``space``: ``name``, ``fingerprint``, ``choices`` (names), and of ``stem`` and ``stages`` the
  ``name``, ``blocks``, and ``channels`` and ``resolution`` (height, width) of the output.
* ``baseline``: the first choice that fits, in each block.
* ``costs``: each with ``name``, ``unit``, ``limit`` (or null), ``weighed`` (by a Pareto search),
  ``stem`` and ``blocks``, what each choice costs in each block. An architecture costs the stem and
  the sum over its blocks.
* ``retrain``: the fields of each `Retraining`; ``commands``: what is typed, with the word BEST for
  ``best_architecture.json``.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig

from ..evaluation import CandidateFitness
from ..files import write_json
from ..search import SearchAlgorithm
from ..space import SearchSpace
from .configured import COSTS, SearchCosts
from .retraining import Retraining

FILE = "search.json"


def write_description(
    cfg: DictConfig,
    fitness: CandidateFitness,
    costs: SearchCosts,
    algorithm: SearchAlgorithm,
    retrainings: Sequence[Retraining],
) -> None:
    """Write FILE to ``train.output_dir``, whole or not at all. Raises OSError."""
    space = costs.space
    content = {
        "metric": fitness.metric,
        "weights": fitness.weights,
        "algorithm": f"{type(algorithm).__module__}.{type(algorithm).__qualname__}",
        "candidates": algorithm.candidates,
        "input_size": list(costs.input_size),
        "space": _space(space, costs.input_size),
        "baseline": [options[0] for options in space.options],
        "costs": [_cost(cfg, name, costs) for name in COSTS if getattr(costs, name) is not None],
        "retrain": [dataclasses.asdict(r) for r in retrainings],
        "commands": [r.command("BEST") for r in retrainings],
    }
    write_json(os.path.join(cfg.train.output_dir, FILE), content, indent=1)


def _space(space: SearchSpace, input_size: Sequence[int]) -> dict[str, Any]:
    height, width = (-(-side // space.stem.stride) for side in input_size)
    stages = []
    stem = {"name": "stem", "channels": space.stem_channels, "resolution": [height, width]}
    for name, stage in zip(space.stage_names, space.stages, strict=True):
        height, width = -(-height // stage.stride), -(-width // stage.stride)
        shape = {"channels": stage.channels, "resolution": [height, width]}
        stages.append({"name": name, "blocks": stage.blocks, **shape})
    return {
        "name": space.name,
        "fingerprint": space.fingerprint,
        "choices": [choice.name for choice in space.choices],
        "stem": stem,
        "stages": stages,
    }


def _cost(cfg: DictConfig, name: str, costs: SearchCosts) -> dict[str, Any]:
    cost = costs.named(name)
    return {
        "name": name,
        "unit": "ms" if name == "latency" else cost.unit,
        "limit": cfg.search.get(f"{name}_limit"),
        "weighed": name in (cfg.search.algorithm.get("costs") or ()),
        "stem": cost.constant,
        "blocks": cost.table.tolist(),
    }
