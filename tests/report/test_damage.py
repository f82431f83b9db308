"""Folders whose files hold anything: the page is written, says so, and runs nothing of theirs."""

from __future__ import annotations

import json

import pytest
import yaml
from made_search import (
    draw_nothing,
    made_evaluations,
    space_of,
    write_made_detections,
    write_made_ranking,
    write_made_search,
    write_made_training,
)
from payloads import changed

from detnas_d2.report import write_report
from detnas_d2.report.page import ReportError
from detnas_d2.search import rank, write_best

SPACE = space_of(2, (1, 1))
EVALUATIONS = made_evaluations(SPACE, 3)
BEST = str(rank(EVALUATIONS)[0].architecture)
UNREAD = "no detections.json that could be read"


@pytest.fixture
def folder(tmp_path):
    """A finished search with every file."""
    folder = write_made_search(tmp_path / "runs" / "search", EVALUATIONS, SPACE)
    write_best(folder / "best_architecture.json", rank(EVALUATIONS)[0])
    entry = {"architecture": list(EVALUATIONS[0].architecture), "latency": 1.5}
    (folder / "pareto_front.json").write_text(json.dumps({"front": [entry]}))
    write_made_detections(folder)
    write_made_ranking(folder, EVALUATIONS)
    return folder


@pytest.fixture
def without_drawing(monkeypatch):
    draw_nothing(monkeypatch)


def html_of(folder):
    html = write_report(folder).read_text(encoding="utf-8")
    assert 'id="best"' in html and 'id="steps"' in html
    return html


TEXTS = ["", "\x00{", "[{}]", "null", "&a [*a]"]
NAMED = {  # file -> what the page says where it holds none of its kind
    "config.yaml": "config.yaml",
    "search.json": "search.json can&#39;t be read",
    "detections.json": UNREAD,
    "pareto_front.json": "pareto_front.json",
    "ranking.json": "The ranking in ranking.json could not be made",
    "ledger.jsonl": "ledger.jsonl",
    "done.json": "",
    "metrics.json": "",
    "best_architecture.json": "",
}


@pytest.mark.parametrize("name", NAMED)
def test_any_content(folder, without_drawing, name):
    """Of each file: the search's page has its sections, whatever the file holds."""
    for content in TEXTS:
        (folder / name).write_text(content)
        assert NAMED[name] in html_of(folder)
    (folder / name).unlink()
    html_of(folder)
    (folder / name).mkdir()
    html_of(folder)


VALUES = [None, "${x}", float("nan"), [[]], {"a": 1}, -1]
KEYS = {
    "search.json": (
        *("metric", "candidates", "input_size", "space", "baseline", "costs", "retrain"),
        *("space.name", "space.choices", "space.stem", "space.stages"),
    ),
    "config.yaml": ("search", "search.seed", "train"),
}
OF_RANKING = (
    "networks",
    "fitness",
    "alone",
    "figures",
    "figures.fitness",
    "figures.seeds",
    "meaning",
)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in KEYS for key in KEYS[name]])
def test_any_value(folder, without_drawing, name, key):
    content = yaml.safe_load((folder / name).read_text())  # JSON, too
    for value in VALUES:
        (folder / name).write_text(json.dumps(changed(content, key, value)))
        html = html_of(folder)
        assert (BEST in html) != (f"{name} can&#39;t be read" in html)


@pytest.mark.parametrize("key", OF_RANKING)
def test_any_value_of_a_ranking(folder, monkeypatch, key):
    """Its part is left out, or shows what is no number as it is."""
    draw_nothing(monkeypatch)
    content = json.loads((folder / "ranking.json").read_text())
    for value in VALUES:
        (folder / "ranking.json").write_text(json.dumps(changed(content, key, value)))
        html = html_of(folder)
        assert BEST in html
        assert ('id="ranking"' in html) != ("The ranking in ranking.json could not be" in html)


def test_damage_is_told(folder, without_drawing):
    lines = (folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    broken = lines[2].replace(b'"ok"', b'"OK"')
    for content, said in (
        (b"".join([*lines[:2], broken, *lines[3:]]), "1 damaged lines of ledger.jsonl are passed"),
        (b"x" + b"".join(lines), "The first line of ledger.jsonl, its header, can&#39;t be read"),
        (b"", "ledger.jsonl is empty"),
    ):
        (folder / "ledger.jsonl").write_bytes(content)
        assert said in html_of(folder)
    (folder / "ledger.jsonl").write_bytes(b"".join(lines))
    for front in ([3], [{"architecture": 3}], [None]):
        (folder / "pareto_front.json").write_text(json.dumps({"front": front}))
        assert "The front in pareto_front.json could not be made" in html_of(folder)
    for name in ("best_architecture.json", "ledger.jsonl"):
        (folder / name).unlink()
    assert "Not begun: there is no ledger.jsonl." in html_of(folder)


def test_damaged_detections(folder, without_drawing):
    box = {"bbox": [1], "class": 0, "score": 0.5}
    for key, value in (
        *(("width", v) for v in (0, None, "x")),
        *(("detections", v) for v in ([{}], [3], None, [box])),
        *(("file", 3), ("ground_truth", [{**box, "class": []}])),
    ):
        write_made_detections(folder, {key: value})
        assert UNREAD in html_of(folder)


def test_damaged_trainings(tmp_path, without_drawing):
    folder = write_made_training(tmp_path / "step")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    for value in (*VALUES, 10**400):
        for key in ("train.max_iter", "train.init_checkpoint", "train.seed"):
            config = changed(config, key, value)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        (folder / "done.json").write_text(json.dumps({"seconds": value}))
        (folder / "evaluation.json").write_text(json.dumps({"bbox/AP": value}))
        line = {"iteration": 3, **dict.fromkeys(("total_loss", "time", "lr", "bbox/AP"), value)}
        (folder / "metrics.json").write_text(json.dumps(line) + "\n")
        assert "step" in html_of(folder)


def test_one_section_fails(folder, monkeypatch):
    """With an error that nobody thought of: the others are there."""
    monkeypatch.setattr("detnas_d2.report.search_part.fitness_chart", lambda *_: 1 // 0)
    html = html_of(folder)
    assert "The chart of fitness could not be made: ZeroDivisionError" in html
    assert html.count("This section could not be made") == 1
    assert "The front of this Pareto search" in html


def test_a_report_that_is_a_link(folder, tmp_path):
    """Nothing is written or removed where it leads."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "fitness.png").touch()
    (folder / "report").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ReportError, match="is a link"):
        write_report(folder)
    assert [p.name for p in (tmp_path / "elsewhere").iterdir()] == ["fitness.png"]
