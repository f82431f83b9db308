"""Folders as search_net.py and train_net.py leave them, made without a model."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf
from PIL import Image

from detnas_d2.driver.configured import SearchCosts
from detnas_d2.driver.description import write_description
from detnas_d2.evaluation import SupernetFitness
from detnas_d2.ranking import compare
from detnas_d2.report import boxes, page, ranking_part, search_part
from detnas_d2.report.style import Chart
from detnas_d2.search import Evaluation, make_header
from detnas_d2.search.ledger_format import header_line, to_line
from detnas_d2.space import (
    Architecture,
    CostTable,
    SearchSpace,
    ShuffleChoice,
    Stage,
    XceptionChoice,
)


def space_of(options: int = 4, blocks: Sequence[int] = (2, 2, 3, 1)) -> SearchSpace:
    kernels = [ShuffleChoice(k) for k in range(3, 2 * options + 1, 2)]
    stages = [Stage(16 * 2**i, b) for i, b in enumerate(blocks)]
    return SearchSpace("made", 8, stages, [*kernels, XceptionChoice()])


def made_evaluations(
    space: SearchSpace, count: int, *, population: int = 10, failing: Sequence[int] = ()
) -> list[Evaluation]:
    """Random architectures; the places in `failing` failed."""
    rng = np.random.default_rng(0)
    cost = CostTable(space, (64, 64))
    rows = np.unique(rng.integers(space.num_choices, size=(3 * count, space.num_blocks)), axis=0)
    rng.shuffle(rows)
    made = []
    for i, row in enumerate(rows[:count]):
        architecture = Architecture(space, tuple(row.tolist()))
        fitness = None if i in failing else float(rng.normal(20 + i / count, 1))
        status, metrics, error = (
            "ok",
            {"bbox/AP": fitness, "bbox/AP50": None, "bbox/APs": 3.5},
            None,
        )
        if fitness is None:
            status, metrics, error = "failed", {}, "ValueError: <b>no</b> & never"
        costs = cost.flops(architecture), cost.params(architecture)
        made.append(
            Evaluation(architecture, status, fitness, metrics, *costs, i // population, 1.5, error)
        )
    return made


def told_of(space: SearchSpace, /, **more: Any) -> dict[str, Any]:
    """search.json as search_net.py writes it, for images of 64 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        search = {"seed": 0, "input_size": [64, 64], "algorithm": {}}
        train = {"init_checkpoint": "", "output_dir": folder}
        cfg = OmegaConf.create({"search": search, "train": train})
        costs, algorithm = SearchCosts(cfg, space), SimpleNamespace(candidates=120)
        write_description(cfg, SupernetFitness("bbox/AP"), costs, algorithm, [])
        told = json.loads(Path(folder, "search.json").read_text())
    retrain = [{**RETRAIN, "config": "STEP4_CONFIG", "output": "STEP4_FOLDER"}]
    return {**told, "retrain": retrain, **more}


RETRAIN = {"config": "", "key": "model.backbone", "output": "", "checkpoint": "", "space": ""}


def cost_of(name: str, unit: str, stem: float, blocks: Any, limit: Any = None) -> dict[str, Any]:
    return {"name": name, "unit": unit, "limit": limit, "stem": stem, "blocks": blocks}


def write_made_search(
    folder: Path, evaluations: Sequence[Evaluation], space: SearchSpace, /, **told: Any
) -> Path:
    """search.json, ledger.jsonl and config.yaml, without best_architecture.json."""
    folder.mkdir(parents=True, exist_ok=True)
    header = make_header(space, "c" * 64, "d" * 64, 0)
    lines = [to_line(e.to_json()) for e in evaluations]
    (folder / "ledger.jsonl").write_bytes(header_line(header) + b"".join(lines))
    (folder / "search.json").write_text(json.dumps(told_of(space, **told)))
    train = {"init_checkpoint": "", "output_dir": str(folder), "seed": 0, "device": "cpu"}
    search = {"seed": 0, "executor": {"workers": 2}}
    (folder / "config.yaml").write_text(yaml.safe_dump({"search": search, "train": train}))
    return folder


def write_made_training(folder: Path, checkpoint: str = "", **model: Any) -> Path:
    """config.yaml and a metrics.json of 200 iterations with one evaluation."""
    folder.mkdir(parents=True, exist_ok=True)
    train = {
        "init_checkpoint": checkpoint,
        "output_dir": str(folder),
        "max_iter": 200,
        "seed": 3,
        "device": "cpu",
    }
    (folder / "config.yaml").write_text(yaml.safe_dump({"train": train, "model": model}))
    lines = [
        {"iteration": i, "total_loss": 2 / (1 + i), "loss_cls": 1 / (1 + i), "lr": 0.1, "time": 0.5}
        for i in range(19, 200, 20)
    ]
    lines.append({"iteration": 200, "bbox/AP": 31.5, "bbox/AP50": 60.0})
    (folder / "metrics.json").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return folder


def write_made_detections(folder: Path, *more: dict[str, Any], **content: Any) -> dict[str, Any]:
    """detections.json and a.png: what was found on it, and on it with other keys (`more`)."""
    Image.new("RGB", (40, 30), "tan").save(folder / "a.png")
    box = {"bbox": [1, 1, 20, 20], "class": 0}
    image = {"file": str(folder / "a.png"), "width": 40, "height": 30, "ground_truth": [box]}
    image["detections"] = [{**box, "score": 0.5}]
    content = {"images": [image, *({**image, **m} for m in more)], **content}
    made = {"classes": ["a"], "dataset": "d", "calibration_batches": [1, 1], "least_score": 0.3}
    (folder / "detections.json").write_text(json.dumps({**made, **content}))
    return image


def write_made_ranking(folder: Path, evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """ranking.json, of networks that reach alone what fitness says, less for the second seed."""
    alone = {e.architecture: [e.fitness, e.fitness - 1] for e in evaluations if e.fitness}
    what = {"metric": "AP", "images": "val", "source": "table.json"}
    content = compare(evaluations, alone, what, what)
    (folder / "ranking.json").write_text(json.dumps(content))
    return content


def draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without their charts, which take the seconds."""
    chart = Chart("data:image/png;base64,", "alt", "", 1, 1)
    for name in ("fitness", "cost", "top_choices", "generations", "network"):
        monkeypatch.setattr(search_part, f"{name}_chart", lambda *_: chart)
    monkeypatch.setattr(ranking_part, "ranking_chart", lambda *_: chart)
    monkeypatch.setattr(page, "training_chart", lambda *_: chart)
    monkeypatch.setattr(boxes, "grid", lambda *_, **__: np.zeros((1, 1, 3), np.uint8))
