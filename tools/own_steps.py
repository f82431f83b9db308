"""All steps on a user's own data: configs/custom, or a copy of that folder (run_steps.py)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detectron2.config import LazyConfig

from detnas_d2.driver.estimate import (
    DAY,
    OVER_A_DAY,
    Estimator,
    Planned,
    Predicted,
    estimate_table,
    smaller_settings,
    smaller_table,
    total_seconds,
)
from detnas_d2.durations import duration
from detnas_d2.engine.config import ConfigError
from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.engine.step_time import earlier_starts
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
        self,
        steps: Sequence[Step],
        *,
        long: bool,
        only: bool = False,
        show: Callable[[str], None] = print,
    ) -> dict[str, float]:
        """Show how long the steps that are not done will take, measured on the first call.

        Args:
            steps: all steps.
            long: go on where that is more than a day.
            only: nothing is run afterwards: show smaller settings, however long it takes.

        Returns:
            predicted seconds by step.

        Raises:
            TooLong: without `long` or `only`, naming smaller settings.
        """
        known = self._known()
        entry = known.setdefault(_hash(steps), {"steps": [], "smaller": [], "long": False})
        predicted = {p["name"]: Predicted(**p) for p in entry["steps"]}
        left = _left(steps, show if only else None)
        if not left:
            show(f"all {len(steps)} steps are done")
            return {name: p.seconds for name, p in predicted.items()}
        estimator = Estimator()
        plan = [Planned(s.name, s.kind, s.cfg, s.gpus) for s in left]
        if not all(s.name in predicted for s in left):
            show("measuring how long the steps will take …")
            predicted.update((p.name, p) for p in estimator.predict(plan))
            entry.update(steps=[asdict(p) for p in predicted.values()], smaller=[])
        to_come = [predicted[s.name] for s in left]
        if len(left) < len(steps):
            show(f"{len(steps) - len(left)} of {len(steps)} steps are done; the others:")
        show(estimate_table(to_come))
        for step in left:
            if spent := sum(earlier_starts(step.folder)):
                show(f"of {step.name} {duration(spent)} are done")
        too_long = total_seconds(to_come) > DAY and not (long or entry["long"])
        if (only or too_long) and not entry["smaller"]:
            entry["smaller"] = smaller_settings(plan, estimator)
        entry["long"] |= long
        write_atomically(self._estimate_file, json.dumps(known, indent=1) + "\n")
        smaller = smaller_table(entry["smaller"])
        where = f"Change {self.folder / 'machines.py'}"
        if too_long:
            text = f"{OVER_A_DAY} {smaller}\n{where}, or go on as it is with --long."
            if not only:
                raise TooLong(text)
            show(text)
        elif only:
            show(f"{smaller}\n{where} for them.")
        return {name: p.seconds for name, p in predicted.items()}

    def _known(self) -> dict[str, Any]:
        """Former estimates, by the configs that they are of."""
        try:
            known = json.loads(self._estimate_file.read_text())
        except (OSError, ValueError):
            return {}
        return {} if "configs" in known else known  # of an earlier version

    @property
    def _estimate_file(self) -> Path:
        return self.root / self.output / "estimate.json"


def _left(steps: Sequence[Step], show: Callable[[str], None] | None) -> list[Step]:
    """Those that are not done; with `show`, results of other settings are told, not refused."""
    left: list[Step] = []
    told = False
    for step in steps:
        try:
            if step.seconds() is None:
                left.append(step)
        except ConfigError as e:
            if show is None:
                raise
            if not told:
                show(f"a run would end with: {e}")
            told = True
            left.append(step)
    return left


def _hash(steps: Sequence[Step]) -> str:
    parts = [f"{config_hash(s.cfg, sorted(s.cfg))} {s.gpus}" for s in steps]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def comparison(predicted: Mapping[str, float], seconds: Mapping[str, float]) -> str:
    """What was predicted, and what it took."""
    both = [name for name in seconds if name in predicted]
    if not both:
        return ""
    guess, took = (sum(times[name] for name in both) for times in (predicted, seconds))
    return (
        f"predicted {duration(guess)} for {len(both)} steps, which took {duration(took)} "
        f"({guess / took - 1:+.0%})"
    )
