"""All steps on a user's own data: configs/custom, or a copy of that folder (run_steps.py)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectron2.config import LazyConfig

from detnas_d2.driver.estimate import (
    DAY,
    Estimator,
    Planned,
    advice,
    estimate_table,
    total_seconds,
    words,
)
from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.engine.steps import Step, StepError
from detnas_d2.files import write_atomically

KINDS = {
    "step2_supernet": "train",
    "step3_search": "search",
    "step4_finetune": "train",
    "step5_test_finetune": "test",
    "step4_detection": "train",
    "step5_test": "test",
}
COMPARED = ("step4_detection", "step5_test")  # run for a random architecture too
NETWORKS = {
    "test": ("step5_test", "step4_detection"),
    "finetuned": ("step5_test_finetune", "step4_finetune"),
    "random": ("step5_test_random", "step4_detection_random"),
}
"""Of the summary: the steps that test and train each network."""


class TooLong(StepError):
    """All steps together would take more than a day."""


@dataclass(frozen=True)
class OwnRun:
    """The steps of a folder of configs.

    Args:
        folder: with settings.py and the configs of the steps.
        root: of the repository; output folders are relative to it.
    """

    folder: Path
    root: Path

    @property
    def output(self) -> Path:
        (name,) = self._settings("name")
        return Path("output") / name

    def _settings(self, *names: str) -> tuple[Any, ...]:
        return LazyConfig.load(str(self.folder / "settings.py"), names)

    def steps(self, random_file: Path) -> list[Step]:
        """In their order: the first results come early.

        Raises:
            ConfigError: settings that can't be used.
        """
        machine, weights = self._settings("machine", "weights")
        (machines,) = LazyConfig.load(str(self.folder / "machines.py"), ("machines",))
        steps = {
            name: Step(name, kind, self.folder / f"{name}.py", self.root)
            for name, kind in KINDS.items()
        }
        for step in steps.values():
            step.cfg  # noqa: B018  settings that can't be used end here
        gpus = machines[machine].gpus
        found = [Step(s.name, s.kind, s.config, s.root, gpus=gpus) for s in steps.values()]
        compared = []
        for step in found:
            if step.name in COMPARED:
                same = weights and step.cfg.train.init_checkpoint == weights
                keep = [f"train.init_checkpoint='{weights}'"] if same else []
                compared.append(step.for_architecture(str(random_file), "random", *keep))
        return found + compared

    def estimate(
        self, steps: Sequence[Step], *, long: bool, show: Callable[[str], None] = print
    ) -> dict[str, float]:
        """Show how long the steps that are not done will take, measured on the first call.

        Args:
            steps: all steps.
            long: go on where that is more than a day.

        Returns:
            predicted seconds by step.

        Raises:
            TooLong: without `long`, naming smaller settings.
        """
        left = [s for s in steps if s.seconds() is None]
        if not left:
            return self._known(steps).get("seconds", {})
        known = self._known(steps)
        if all(s.name in known.get("seconds", {}) for s in left):
            return known["seconds"]
        show("measuring how long the steps will take …")
        estimator = Estimator()
        plan = [Planned(s.name, s.kind, s.cfg, s.gpus) for s in left]
        predicted = estimator.predict(plan)
        show(estimate_table(predicted))
        if total_seconds(predicted) > DAY and not long:
            raise TooLong(
                f"{advice(plan, estimator)}\nChange {self.folder / 'machines.py'}, or go on as it "
                "is with --long."
            )
        seconds = {p.name: round(p.seconds, 1) for p in predicted}
        content = {"configs": _hash(steps), "seconds": seconds}
        write_atomically(self._estimate_file, json.dumps(content, indent=1) + "\n")
        return seconds

    def _known(self, steps: Sequence[Step]) -> dict[str, Any]:
        try:
            known = json.loads(self._estimate_file.read_text())
        except (OSError, ValueError):
            return {}
        return known if known.get("configs") == _hash(steps) else {}

    @property
    def _estimate_file(self) -> Path:
        return self.root / self.output / "estimate.json"


def _hash(steps: Sequence[Step]) -> list[str]:
    return [config_hash(s.cfg, sorted(s.cfg)) for s in steps]


def comparison(predicted: Mapping[str, float], seconds: Mapping[str, float]) -> str:
    """What was predicted, and what it took."""
    both = [name for name in seconds if name in predicted]
    if not both:
        return ""
    guess, took = (sum(times[name] for name in both) for times in (predicted, seconds))
    return (
        f"predicted {words(guess)} for {len(both)} steps, which took {words(took)} "
        f"({guess / took - 1:+.0%})"
    )
