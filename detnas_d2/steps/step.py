"""A call of train_net.py or search_net.py: what it reads and writes, whether it is done."""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from detectron2.config import instantiate
from omegaconf import DictConfig, OmegaConf

from ..driver import build_limit
from ..driver.retraining import Retraining
from ..engine import ConfigError, backbone_key, backbone_node, load_config
from ..engine.evaluate import EVALUATION_FILE
from ..engine.fingerprint import config_hash, file_hash, former_differences
from ..engine.overrides import apply_overrides
from ..files import parse_json
from ..search.results import BEST_FILE
from ..search.sampling import draw_random
from ..space import Architecture, SearchSpace, resolve_space

DONE_FILE = "done.json"  # of a training or a search
_WRITES = {
    "search": BEST_FILE,
    "test": EVALUATION_FILE,
    "train": "model_final.pth",
}


def is_own(folder: Path) -> bool:
    """Whether a folder of configs is configs/custom or a copy of it."""
    return (folder / "settings.py").is_file()


@dataclass(frozen=True)
class Step:
    """One call of train_net.py or search_net.py.

    Args:
        name: what it is called, unique among the steps of a run.
        kind: "train", "search" or "test" (``train_net.py --eval-only``).
        config: a LazyConfig file, with overrides.
        root: the folder of the two scripts; output folders are relative to it.
        gpus: ``--num-gpus`` of a training or test.
    """

    name: str
    kind: str
    config: Path
    root: Path
    overrides: tuple[str, ...] = ()
    gpus: int = 0

    @cached_property
    def cfg(self) -> DictConfig:
        return apply_overrides(
            copy.deepcopy(_load(self.config, self.kind == "test")), self.overrides
        )

    @property
    def folder(self) -> Path:
        return self.root / self.cfg.train.output_dir

    @property
    def done_file(self) -> Path:
        """Written at its end; a test has one of its own in the folder of the training."""
        return self.folder / ("done_test.json" if self.kind == "test" else DONE_FILE)

    @property
    def starts_file(self) -> Path:
        """Seconds of each start, while the step is not done."""
        return self.folder / ("starts_test.json" if self.kind == "test" else "starts.json")

    @cached_property
    def writes(self) -> str:
        """The file that others read, as their configs name it."""
        return f"{self.cfg.train.output_dir}/{_WRITES[self.kind]}"

    @cached_property
    def reads(self) -> list[str]:
        """Checkpoint and architecture files, as the config names them."""
        files = [self.cfg.train.init_checkpoint, backbone_node(self.cfg).get("architecture")]
        for key in ("algorithm.architectures", "initial", "initial_ledger"):
            value = OmegaConf.select(self.cfg, f"search.{key}") or []
            files += [value] if isinstance(value, str) else value
        return [f for f in files if isinstance(f, str) and f.endswith((".pth", ".json", ".jsonl"))]

    @property
    def command(self) -> list[str]:
        script = self.root / ("search_net.py" if self.kind == "search" else "train_net.py")
        flag = "--eval-only" if self.kind == "test" else "--resume"
        options = ["--config-file", str(self.config), flag]
        if self.gpus and self.kind != "search":
            options += ["--num-gpus", str(self.gpus)]
        return [sys.executable, str(script), *options, *self.overrides]

    def for_architecture(self, architecture: str, suffix: str, *overrides: str) -> Step:
        """The same step of another network, with `suffix` at the folders it reads and writes.

        Args:
            architecture: in any form that ``Architecture.parse`` takes.
        """
        train = self.cfg.train
        retraining = Retraining(
            str(self.config), backbone_key(self.cfg), train.output_dir, train.init_checkpoint
        )
        more = retraining.overrides(architecture, f"_{suffix}")
        return replace(
            self,
            name=f"{self.name}_{suffix}",
            overrides=(*self.overrides, *more, *overrides),
        )

    @cached_property
    def space(self) -> SearchSpace:
        return resolve_space(instantiate(backbone_node(self.cfg).space))

    def draw(self, count: int, seed: int) -> list[Architecture]:
        """Random architectures under the limits of a search; errors as `draw_random`."""
        _, limit = build_limit(self.cfg, self.space)
        return draw_random(self.space, count, limit, seed)

    def metrics(self) -> dict[str, Any]:
        """What a test has found, by names such as bbox/AP; None where nothing was detected."""
        found: dict[str, Any] = json.loads((self.root / self.writes).read_text())
        return found

    def made_of(self) -> dict[str, Any]:
        """Hashes of the config and of the files that the step reads, as far as they are there."""
        files = {f: self.root / f for f in self.reads}
        return {
            "config": config_hash(self.cfg, sorted(self.cfg)),
            "reads": {f: file_hash(path) for f, path in files.items() if path.is_file()},
        }

    def seconds(self) -> float | None:
        """How long it took, over all its starts; None if it is still to be run.

        Raises:
            ConfigError: the folder holds the results of another config, or of other input; or
            done.json is damaged.
        """
        done = self._done()
        if done is None:
            return None
        now = self.made_of()
        for key, what in (("config", "config"), ("reads", "checkpoint or architecture")):
            if done.get(key) != now[key]:
                how = self._differences(str(done.get("config"))) if key == "config" else ""
                own = ", or choose another name in settings.py" * is_own(self.config.parent)
                whole = "the folder (and those of the steps after it)"
                remove = self.done_file if self.kind == "test" else whole  # which is the training's
                raise ConfigError(
                    f"{self.folder} holds the results of another {what} of {self.name}{how}. "
                    f"Remove {remove} to run the step anew{own}."
                )
        return done["seconds"]

    @property
    def starts(self) -> int:
        """How often it was started until it was done, as far as that is known."""
        return (self._done() or {"starts": 1})["starts"]

    def earlier_starts(self) -> list[float]:
        """Seconds of each start of a step that is not done; none where nothing can be read."""
        try:
            return [float(s) for s in parse_json(self.starts_file.read_text())]
        except (OSError, ValueError, TypeError):
            return []

    def _done(self) -> dict[str, Any] | None:
        file = self.done_file
        try:
            done = parse_json(file.read_text())
            starts = int(done.get("starts", 1))
            return {**done, "seconds": float(done["seconds"]), "starts": starts}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as e:
            raise ConfigError(
                f"{file} is damaged ({type(e).__name__}: {e}); remove it to run the step anew."
            ) from e

    def _differences(self, hashed: str) -> str:
        """From the config with that hash, which the results are of, as far as it is there."""
        found = former_differences(self.cfg, self.folder, sorted(self.cfg), hashed)
        shown = [f"{key} (was {then}, is {now})" for key, (then, now) in found.items()]
        more = f" and {len(shown) - 5} more keys" if len(shown) > 5 else ""
        return f": {', '.join(shown[:5])}{more}" if shown else ""


@cache  # many steps share a file
def _load(config: Path, test: bool) -> DictConfig:
    return load_config(str(config), test=test)
