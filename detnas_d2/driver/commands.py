"""The commands that come after a search."""

from __future__ import annotations

import os

from omegaconf import DictConfig

from ..engine import backbone_key, load_config


def retrain_commands(cfg: DictConfig, root: str) -> list[str]:
    """The commands that train the best architecture, written BEST, alone (step 4).

    Args:
        root: where configs that are not in the working directory are looked for.
    """
    if not cfg.search.retrain:
        return ["python train_net.py --config-file STEP4_CONFIG model.backbone.architecture=BEST"]
    commands = []
    for config in cfg.search.retrain:
        there = os.path.join(root, config)
        here = there if os.path.isfile(there) and not os.path.isfile(config) else config
        key = backbone_key(load_config(here))
        commands.append(f"python train_net.py --config-file {config} {key}.architecture=BEST")
    return commands
