"""The commands that come after a search."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from ..engine import backbone_key, backbone_node, load_config
from ..engine.overrides import as_override
from ..search.results import BEST_FILE
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
    """

    config: str
    key: str
    output: str = ""
    checkpoint: str = ""
    space: str = ""

    def overrides(self, architecture: str, suffix: str = "") -> list[str]:
        """Of the config; `suffix` ends the names of the folders, for more than one architecture."""
        values = {f"{self.key}.architecture": architecture}
        if self.space:
            values[f"{self.key}.space"] = self.space
        if self.output:
            values["train.output_dir"] = f"{self.output}{suffix}"
        if self.checkpoint:
            folder, name = os.path.split(self.checkpoint)
            values["train.init_checkpoint"] = f"{folder}{suffix}/{name}"
        return [as_override(key, value) for key, value in values.items()]

    def command(self, architecture: str, suffix: str = "") -> str:
        """What is typed."""
        start = ("python", "train_net.py", "--config-file", self.config)
        return shlex.join([*start, *self.overrides(architecture, suffix)])


def retrainings(cfg: DictConfig, root: str, *, trust: bool = False) -> list[Retraining]:
    """The calls that train what a search found; one with a `checkpoint` follows on another.

    Args:
        root: where configs that are not in the working directory are looked for.
        trust: read all that ``search.retrain`` names, whoever wrote it. Reading a .py runs it, so
            others than those of root/configs go without their folders.
    """
    if not cfg.search.retrain:
        return [Retraining("STEP4_CONFIG", backbone_key(cfg), "STEP4_FOLDER")]
    searched, results = backbone_node(cfg).space, cfg.train.output_dir
    # a config that by itself trains what another search found writes to a folder of this search's
    ending = "_".join(("", *Path(results).parts[-2:]))
    outputs: dict[str, str] = {}  # by the train.output_dir of the configs so far
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
        node, output = backbone_node(step), step.train.output_dir
        weights, file = os.path.split(step.train.init_checkpoint or "")
        checkpoint = f"{outputs[weights]}/{file}" if weights in outputs else ""
        is_own = node.get("architecture") == f"{results}/{BEST_FILE}"
        outputs[output] = output if is_own else output + ending
        both_named = isinstance(searched, str) and isinstance(node.space, str)
        space = searched if both_named and searched != node.space else ""
        found.append(Retraining(config, backbone_key(step), outputs[output], checkpoint, space))
    return found
