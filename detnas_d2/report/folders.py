"""The folders of the steps: what lies in one, and which belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engine.evaluate import EVALUATION_FILE
from ..engine.setup import CONFIG_FILE
from ..files import parse_json
from ..search.ledger import LEDGER_FILE
from ..search.results import BEST_FILE
from ..steps import DONE_FILE
from ..trust import TrustError, read_yaml
from .texts import attempt

METRICS = "metrics.json"


@dataclass(frozen=True)
class StepFolder:
    """A step's output folder, read as far as it can be.

    path: absolute. config: config.yaml as plain containers, interpolations unresolved; empty where
    it can't be read. metrics: the lines of metrics.json that can be read. seconds: wall time, where
    tools/run_steps.py or its like ran the step. problems: what could not be read, and why.
    """

    path: Path
    config: Mapping[str, Any]
    metrics: list[dict[str, Any]]
    evaluation: Mapping[str, Any] | None
    seconds: float | None
    problems: list[str]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def kind(self) -> str:
        if "search" in self.config or (self.path / LEDGER_FILE).is_file():
            return "search"
        if self.evaluation is not None and not self.metrics:
            return "test"
        return "train" if self.config or self.metrics else "unknown"

    def setting(self, key: str) -> Any:
        """A value of the config by its dotted key; None where there is none."""
        node: Any = self.config
        for part in key.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        return node


def read_step(path: Path) -> StepFolder:
    """What lies in a folder; never fails for what is in it."""
    path = path.resolve()
    problems: list[str] = []
    config: dict[Any, Any] = {}
    if (path / CONFIG_FILE).exists():
        try:
            config = read_yaml(str(path / CONFIG_FILE))
        except TrustError:
            what = "tags that make objects of Python's, or values without end"
            problems.append(f"{CONFIG_FILE} is not read: it holds {what}")
        except Exception as error:
            problems.append(f"{CONFIG_FILE} can't be read: {' '.join(str(error).split())}")
    evaluation = _json_object(path / EVALUATION_FILE, problems)
    seconds = (_json_object(path / DONE_FILE, problems) or {}).get("seconds")
    seconds = seconds if isinstance(seconds, (int, float)) else None
    return StepFolder(path, config, list(_lines(path / METRICS)), evaluation, seconds, problems)


def is_step(path: Path) -> bool:
    """Whether a step has written to the folder."""
    return any(
        (path / n).is_file()
        for n in (LEDGER_FILE, CONFIG_FILE, METRICS, EVALUATION_FILE, BEST_FILE)
    )


def steps_in(root: Path) -> list[StepFolder]:
    """The steps whose folders lie in `root`, by name."""
    return [read_step(p) for p in sorted(root.iterdir()) if p.is_dir() and is_step(p)]


def related_steps(search: StepFolder) -> list[StepFolder]:
    """The trainings that a search is built on, itself, and what retrained and tested its best.

    Files are followed as the configs name them, relative to the folder in which the step was run;
    where the folders were moved, to the folder beside it of that name.
    """
    before = list(_ancestors(search))
    known = {s.path for s in (search, *before)}
    best = (_json_object(search.path / BEST_FILE, []) or {}).get("architecture")
    beside = [s for s in steps_in(search.path.parent) if s.path not in known]
    return [*before[::-1], search, *(s for s in beside if _is_of_best(s, search, best))]


def _is_of_best(step: StepFolder, search: StepFolder, best: Any) -> bool:
    for part in ("", ".bottom_up"):
        architecture = step.setting(f"model.backbone{part}.architecture")
        if isinstance(architecture, str) and architecture.endswith(BEST_FILE):
            found = _find(step, architecture)
            return found is not None and found.parent == search.path
        if isinstance(architecture, list) and architecture == best:
            return True
    return False


def _ancestors(step: StepFolder) -> Iterator[StepFolder]:
    """The steps whose checkpoints it begins with, the nearest first."""
    seen = {step.path}
    while True:
        checkpoint = step.setting("train.init_checkpoint")
        found = _find(step, checkpoint) if isinstance(checkpoint, str) and checkpoint else None
        if found is None or found.parent in seen or not is_step(found.parent):
            return
        step = read_step(found.parent)
        seen.add(step.path)
        yield step


def _find(step: StepFolder, named: str) -> Path | None:
    """Where a file that a step's config names lies, or would lie; None if its folder is gone."""
    if "://" in named:
        return None
    folder, here = step.path, Path(named)
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
    if not path.exists():
        return None
    failure = f"{path.name} can't be read"
    return attempt(failure, lambda: dict(parse_json(path.read_bytes())), None, problems)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Those of metrics.json that are whole: the last may be torn, or just being written."""
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            record = parse_json(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("iteration"), int):
            yield record
