"""The folders of the steps: what lies in one, and which belong together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ..engine.evaluate import EVALUATION_FILE
from ..errors import DetNASError
from ..files import parse_json
from ..steps import DONE_FILE
from ..trust import TrustError, read_yaml

LEDGER, BEST, CONFIG, METRICS = (
    "ledger.jsonl",
    "best_architecture.json",
    "config.yaml",
    "metrics.json",
)
_STEP_FILES = (LEDGER, CONFIG, METRICS, EVALUATION_FILE, BEST)


@dataclass(frozen=True)
class StepFolder:
    """A step's output folder, read as far as it can be.

    kind: "search", "train", "test" or None where nothing tells. config: config.yaml as plain
    containers, interpolations unresolved; empty where it can't be read. problems: what could not
    be read, and why.
    """

    path: Path
    config: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None
    done: Mapping[str, Any]
    problems: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def kind(self) -> str | None:
        if "search" in self.config or (self.path / LEDGER).is_file():
            return "search"
        if (self.path / METRICS).is_file():
            return "train"  # its test too, where there is one
        return "test" if self.evaluation is not None else "train" if self.config else None

    @property
    def seconds(self) -> float | None:
        """Wall time, where the step was run by tools/run_steps.py or its like."""
        seconds = self.done.get("seconds")
        return float(seconds) if isinstance(seconds, (int, float)) else None

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.json that can be read."""
        lines = []
        for line in _text(self.path / METRICS).splitlines():
            try:
                record = parse_json(line)
            except ValueError:
                continue  # torn, or of a run that is just writing it
            if isinstance(record, dict) and isinstance(record.get("iteration"), int):
                lines.append(record)
        return lines

    def setting(self, key: str) -> Any:
        """A value of the config by its dotted key; None where there is none."""
        node: Any = self.config
        for part in key.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        return node

    @property
    def architecture(self) -> Any:
        """As the config of a retraining or test names it."""
        for key in ("model.backbone.architecture", "model.backbone.bottom_up.architecture"):
            value = self.setting(key)
            if value is not None:
                return value
        return None


def read_step(path: Path) -> StepFolder:
    """What lies in a folder; never fails for what is in it."""
    problems: list[str] = []
    config: dict[Any, Any] = {}
    if (path / CONFIG).is_file():
        try:
            config = read_yaml(str(path / CONFIG))
        except TrustError:
            problems.append(
                f"{CONFIG} is not read: it holds tags that make objects of Python's, or values "
                "without end"
            )
        except (DetNASError, OSError, ValueError, yaml.YAMLError) as error:
            problems.append(f"{CONFIG} can't be read: {' '.join(str(error).split())}")
    return StepFolder(
        path,
        config,
        _json_object(path / EVALUATION_FILE, problems),
        _json_object(path / DONE_FILE, problems) or {},
        tuple(problems),
    )


def is_step(path: Path) -> bool:
    """Whether a step has written to the folder."""
    return any((path / name).is_file() for name in _STEP_FILES)


def steps_in(root: Path) -> list[StepFolder]:
    """The steps whose folders lie in `root`, by name."""
    try:
        paths = sorted(p for p in root.iterdir() if p.is_dir() and is_step(p))
    except OSError:
        return []
    return [read_step(p) for p in paths]


def related_steps(search: StepFolder) -> list[StepFolder]:
    """The trainings that a search is built on, itself, and what retrained and tested its best.

    Files are followed as the configs name them, relative to the folder in which the step was run;
    where the folders were moved, to the folder beside it of that name.
    """
    before = list(_ancestors(search))
    known = [*before, search]
    paths = {s.path.resolve() for s in known}
    following = []
    candidates = [
        s for s in steps_in(search.path.resolve().parent) if s.path.resolve() not in paths
    ]
    descendants = {search.path.resolve()}
    grown = True
    while grown:  # a retraining's test, and what was trained from its weights
        grown = False
        for step in candidates:
            if step.path not in descendants and _reads_from(step, descendants, search):
                descendants.add(step.path)
                following.append(step)
                grown = True
    return [*before[::-1], search, *sorted(following, key=lambda s: s.name)]


def _reads_from(step: StepFolder, folders: set[Path], search: StepFolder) -> bool:
    architecture = step.architecture
    if isinstance(architecture, list):
        best = _json_object(search.path / BEST, []) or {}
        return architecture == best.get("architecture")
    if isinstance(architecture, str) and architecture.endswith(BEST):
        found = _find(step, architecture)
        return found is not None and found.parent == search.path.resolve()
    checkpoint = step.setting("train.init_checkpoint")
    found = _find(step, checkpoint) if isinstance(checkpoint, str) and checkpoint else None
    return found is not None and found.parent in folders - {search.path.resolve()}


def _ancestors(step: StepFolder) -> Iterator[StepFolder]:
    """The steps whose checkpoints it begins with, the nearest first."""
    seen = {step.path.resolve()}
    while True:
        checkpoint = step.setting("train.init_checkpoint")
        found = _find(step, checkpoint) if isinstance(checkpoint, str) and checkpoint else None
        if found is None or found.parent in seen or not is_step(found.parent):
            return
        step = read_step(found.parent)
        seen.add(found.parent)
        yield step


def _find(step: StepFolder, named: str) -> Path | None:
    """Where a file that a step's config names lies, or would lie; None if its folder is gone."""
    if "://" in named:
        return None
    folder, here = step.path.resolve(), Path(named)
    output = Path(str(step.setting("train.output_dir") or ""))
    beside = folder.parent / here.parent.name / here.name
    if output.is_absolute():
        places = [here, beside]
    elif output.parts and folder.parts[-len(output.parts) :] == output.parts:
        places = [folder.parents[len(output.parts) - 1] / here]  # where the step was run
    else:  # the folder was moved or copied
        places = [beside, here]
    return next((p.resolve() for p in places if p.parent.is_dir()), None)


def _json_object(path: Path, problems: list[str]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{path.name} can't be read: {error}")
        return None
    if isinstance(content, dict):
        return content
    problems.append(f"{path.name} holds no JSON object")
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
