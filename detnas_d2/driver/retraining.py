"""The commands that come after a search."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from ..engine import backbone_key, backbone_node, load_config
from ..trust import is_code


@dataclass(frozen=True)
class Retraining:
    """A call of train_net.py that trains an architecture alone (step 4).

    Args:
        config: its file, as it is typed.
        key: of the backbone.
        output: its train.output_dir; "" if not known.
        checkpoint: its train.init_checkpoint where a retraining before it writes that; else "".
        space: the name of the space that was searched, where the config has another; else "".
        moved: folders are named, for the config by itself trains another search's network.
    """

    config: str
    key: str
    output: str = ""
    checkpoint: str = ""
    space: str = ""
    moved: bool = False

    def command(self, architecture: str, suffix: str = "") -> str:
        """What is typed; `suffix` ends the names of the folders, for more than one architecture."""
        words = ["python", "train_net.py", "--config-file", self.config]
        words.append(f"{self.key}.architecture={architecture}")
        if self.space:
            words.append(f"{self.key}.space={self.space}")
        if (suffix or self.moved) and self.output:
            words.append(f"train.output_dir={self.output}{suffix}")
        if (suffix or self.moved) and self.checkpoint:
            folder, name = os.path.split(self.checkpoint)
            words.append(f"train.init_checkpoint={folder}{suffix}/{name}")
        return shlex.join(words)


def retrainings(cfg: DictConfig, root: str, *, trust: bool = False) -> list[Retraining]:
    """The calls that train what a search found; one with a `checkpoint` follows on another.

    Args:
        root: where configs that are not in the working directory are looked for.
        trust: read all that ``search.retrain`` names, whoever wrote it. Reading a .py runs it, so
            others than those of root/configs go without their folders.
    """
    if not cfg.search.retrain:
        return [Retraining("STEP4_CONFIG", "model.backbone", "STEP4_FOLDER")]
    searched = backbone_node(cfg).space
    best = f"{cfg.train.output_dir}/best_architecture.json"
    tag = "_".join(("", *Path(cfg.train.output_dir).parts[-2:]))
    found: list[Retraining] = []
    for config in cfg.search.retrain:
        there = os.path.join(root, config)
        here = there if os.path.isfile(there) and not os.path.isfile(config) else config
        if not trust and is_code(here, False):
            here = there
            if not Path(there).resolve().is_relative_to(Path(root, "configs").resolve()):
                found.append(Retraining(config, backbone_key(cfg)))
                continue
        step = load_config(here, trust=trust)
        checkpoint = str(step.train.init_checkpoint or "")
        weights, file = os.path.split(checkpoint)
        before = next((r for r in found if r.output.removesuffix(tag) == weights), None)
        shared = backbone_node(step).get("architecture") != best
        theirs = backbone_node(step).space
        other = isinstance(searched, str) and isinstance(theirs, str) and searched != theirs
        found.append(
            Retraining(
                config,
                backbone_key(step),
                f"{step.train.output_dir}{tag if shared else ''}",
                f"{before.output}/{file}" if before else "",
                searched if other else "",
                shared or bool(before and before.moved),
            )
        )
    return found
