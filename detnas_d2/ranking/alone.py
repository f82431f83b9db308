"""Candidates of a search to be trained alone, by the configs that its config names for that."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from ..driver import retrainings
from ..driver.retraining import Retraining
from ..engine import ConfigError
from ..search import Evaluation, rank
from ..space import Architecture
from ..steps import Step
from .comparison import RankingError
from .figures import LEAST


def propose(evaluations: Sequence[Evaluation], count: int) -> list[Architecture]:
    """Candidates spread over the order of fitness: the best, the worst, then each time the one
    whose place is farthest from all before, so that a larger count only adds some.

    Raises:
        RankingError: fewer than LEAST did not fail.
    """
    ranked = rank(evaluations)
    if len(ranked) < LEAST:
        raise RankingError(
            f"{len(ranked)} of the search's {len(evaluations)} candidates did not fail; an order "
            f"needs at least {LEAST}."
        )
    left = list(range(len(ranked)))
    chosen: list[int] = []
    while left and len(chosen) < count:
        near = {p: min((abs(p - c) for c in chosen), default=0) for p in left}
        chosen.append(max(left, key=near.__getitem__))
        left.remove(chosen[-1])
    return [ranked[place].architecture for place in chosen]


def chain_of(cfg: DictConfig, root: Path, *, trust: bool) -> list[Retraining]:
    """The trainings of a network alone: the search's first retraining, and what goes on from it.

    Args:
        cfg: the search's.
        root: the folder of the two scripts.
        trust: read whatever programs the search names.

    Raises:
        ConfigError: it names none, or one that only who trusts it may run.
    """
    if not cfg.search.retrain:
        raise ConfigError(
            "The search names no config that trains a network alone (search.retrain); give a table "
            "of networks trained alone: --truth FILE."
        )
    chain: list[Retraining] = []
    for retraining in retrainings(cfg, str(root), trust=trust):
        if not chain or os.path.dirname(retraining.checkpoint) == chain[-1].output:
            chain.append(retraining)
    for retraining in chain:
        if not retraining.output:  # it was not read
            raise ConfigError(
                f"{retraining.config}, by which this search trains networks alone, is a program "
                f"outside of {root / 'configs'}; if you trust whoever wrote it, give --trust."
            )
    return chain


def alone_steps(
    chain: Sequence[Retraining], architecture: Architecture, seed: int, root: Path, gpus: int
) -> list[Step]:
    """The trainings of a network and the test of the last, in folders of its own: that of the
    retraining with ``_alone/``, its choices and the seed."""
    suffix = f"_alone/{'-'.join(map(str, architecture))}_seed{seed}"

    def step(retraining: Retraining, kind: str, end: str = "") -> Step:
        config = root / retraining.config
        overrides = (*retraining.overrides(str(architecture), suffix), f"train.seed={seed}")
        return Step(f"{config.stem}{suffix}{end}", kind, config, root, overrides, gpus)

    tested = replace(chain[-1], checkpoint="")  # a test reads what the same config trains
    return [*(step(r, "train") for r in chain), step(tested, "test", "_test")]
