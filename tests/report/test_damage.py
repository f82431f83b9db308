"""Folders whose files hold anything: the page is written, says so, and runs nothing of theirs."""

from __future__ import annotations

import json
import shlex

import pytest
import yaml
from made_search import (
    config_of,
    draw_nothing,
    made_evaluations,
    space_of,
    write_made_search,
    write_made_training,
)
from PIL import Image

from detnas_d2.driver.commands import Retraining
from detnas_d2.durations import duration
from detnas_d2.engine import load_config
from detnas_d2.report import write_report
from detnas_d2.report.page import ReportError
from detnas_d2.search import rank, write_best

SPACE = space_of(2, (1, 1))
EVALUATIONS = made_evaluations(SPACE, 3)
BOX = {"bbox": [1, 1, 20, 20], "class": 0, "score": 0.5}
IMAGE = {"width": 40, "height": 30, "ground_truth": [BOX], "detections": [BOX]}
DETECTIONS = {
    "classes": ["a"],
    "images": [IMAGE],
    "dataset": "d",
    "calibration_batches": [1, 1],
    "least_score": 0.3,
}
UNREAD = "no detections.json that could be read"


@pytest.fixture
def without_drawing(monkeypatch):
    draw_nothing(monkeypatch)


def made(tmp_path):
    """A finished search with every file, and the training it begins with."""
    folder = write_made_search(tmp_path / "runs" / "search", EVALUATIONS, SPACE)
    write_best(folder / "best_architecture.json", rank(EVALUATIONS)[0])
    entry = {"architecture": list(EVALUATIONS[0].architecture), "latency": 1.5}
    (folder / "pareto_front.json").write_text(json.dumps({"front": [entry]}))
    Image.new("RGB", (40, 30)).save(folder / "a.png")
    images = [{**IMAGE, "file": str(folder / "a.png")}]
    (folder / "detections.json").write_text(json.dumps({**DETECTIONS, "images": images}))
    return folder


def html_of(folder):
    return write_report(folder).read_text(encoding="utf-8")


def changed(node, path, value):
    """A copy with another value at a dotted path; without it where the value is `del`."""
    node = json.loads(json.dumps(node))
    *parents, last = path.split(".")
    at = node
    for key in parents:
        at = at[int(key) if isinstance(at, list) else key]
    if value == "del":
        del at[last]
    else:
        at[last] = value
    return node


TEXTS = ["", "\x00{", "[{}]", "null", "NaN", '"text"', "{}", "&a [*a]"]
FILES = (
    *("config.yaml", "metrics.json", "detections.json", "pareto_front.json"),
    *("best_architecture.json", "ledger.jsonl", "done.json"),
)


@pytest.mark.parametrize("name", FILES)
def test_any_content(tmp_path, without_drawing, name):
    """Of each file: the search's page has its sections, whatever the file holds."""
    folder = made(tmp_path)
    for content in TEXTS:
        (folder / name).write_text(content)
        html = html_of(folder)
        assert 'id="best"' in html and 'id="steps"' in html
        if name == "config.yaml":
            assert "config.yaml" in html
        if name == "detections.json":
            assert UNREAD in html
        if name == "pareto_front.json":
            assert "pareto_front.json" in html or content == "{}"
    (folder / name).unlink()
    assert 'id="best"' in html_of(folder)
    (folder / name).mkdir()
    assert 'id="best"' in html_of(folder)


SETTINGS = [
    *("search", "search.input_size", "search.retrain", "search.metric", "search.algorithm"),
    *("search.flops_limit", "search.algorithm.costs", "search.workers", "search.seed"),
    *("model", "model.backbone", "model.backbone.bottom_up.space", "train", "train.seed"),
    *("train.init_checkpoint", "train.output_dir", "train.device"),
]


VALUES = [None, "x", "${x", "${nowhere}", "\x00", float("nan"), [0, 0], [3], {"a": 1}, -1]


@pytest.mark.parametrize("key", SETTINGS)
def test_any_setting(tmp_path, without_drawing, key):
    folder = made(tmp_path)
    config = config_of(SPACE, folder, workers=1)
    first = SETTINGS.index(key)  # each has two of them, each of them comes to three settings
    for value in [VALUES[(first * 2 + i) % len(VALUES)] for i in range(2)]:
        (folder / "config.yaml").write_text(yaml.safe_dump(changed(config, key, value)))
        assert 'id="steps"' in html_of(folder)


def test_what_is_named(tmp_path, without_drawing):
    folder = made(tmp_path)
    config = config_of(SPACE, folder)
    for key, value, named in (
        ("search.retrain", [3], "search.retrain is [3]; expected a list of config files"),
        ("search.metric", "${x", "config.yaml holds no config that can be used"),
        ("search.algorithm", 3, "its algorithm can&#39;t be built"),
        ("model.backbone", 3, "The search space of config.yaml can&#39;t be built"),
    ):
        (folder / "config.yaml").write_text(yaml.safe_dump(changed(config, key, value)))
        assert named in html_of(folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    for front in ([3], [{"architecture": 3}], [None]):
        (folder / "pareto_front.json").write_text(json.dumps({"front": front}))
        assert "1 entries of pareto_front.json are no networks" in html_of(folder)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(("images.0.width", v) for v in (0, None, "x")),
        *(("images.0.detections", v) for v in ([{}], [3], None, [{**BOX, "bbox": [1]}])),
        *(("images.0.file", 3), ("images", "del"), ("calibration_batches", []), ("classes", 1)),
    ],
)
def test_damaged_detections(tmp_path, without_drawing, path, value):
    folder = made(tmp_path)
    content = json.loads((folder / "detections.json").read_text())
    (folder / "detections.json").write_text(json.dumps(changed(content, path, value)))
    assert UNREAD in html_of(folder)


@pytest.mark.parametrize("value", [None, "x", "${x}", float("nan"), [1], 10**400, -1, True])
def test_damaged_trainings(tmp_path, without_drawing, value):
    folder = write_made_training(tmp_path / "step")
    for key in ("train.max_iter", "train.init_checkpoint", "train.seed"):
        config = yaml.safe_load((folder / "config.yaml").read_text())
        (folder / "config.yaml").write_text(yaml.safe_dump(changed(config, key, value)))
    (folder / "done.json").write_text(json.dumps({"seconds": value}))
    (folder / "evaluation.json").write_text(json.dumps({"bbox/AP": value}))
    line = {"iteration": 3, "total_loss": value, "time": value, "lr": value, "bbox/AP": value}
    (folder / "metrics.json").write_text(json.dumps(line) + "\n")
    assert "step" in html_of(folder)


def test_a_search_not_begun(tmp_path):
    folder = made(tmp_path)
    (folder / "best_architecture.json").unlink()
    (folder / "ledger.jsonl").unlink()
    assert "Not begun: there is no ledger.jsonl." in html_of(folder)


def test_one_section_fails(tmp_path, monkeypatch):
    """With an error that nobody thought of: the others are there."""
    monkeypatch.setattr("detnas_d2.report.search_part.fitness_chart", lambda *_: 1 // 0)
    html = html_of(made(tmp_path))
    assert "The chart of fitness could not be made: ZeroDivisionError" in html
    assert html.count("This section could not be made") == 1
    assert "The front of this Pareto search" in html


def test_a_report_that_is_a_link(tmp_path):
    """Nothing is written or removed where it leads."""
    folder = made(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "fitness.png").touch()
    (folder / "report").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ReportError, match="is a link"):
        write_report(folder)
    assert [p.name for p in (tmp_path / "elsewhere").iterdir()] == ["fitness.png"]


def test_charts_of_an_earlier_report_go(tmp_path):
    folder = made(tmp_path)
    html_of(folder)
    report = folder / "report"
    (report / "fitness_latency.png").write_text("old")
    (report / "mine.png").write_text("of the reader")
    html_of(folder)
    assert {p.name for p in report.iterdir()} == {
        *("index.html", "mine.png", "fitness.png", "fitness_flops.png", "network.png"),
        *("top_choices.png", "generations.png", "detections.png"),
    }


def test_commands_can_be_typed(tmp_path):
    config = tmp_path / "my configs" / "a.py"
    step = Retraining(str(config), "model.backbone", "out put/a", "out put/b/model_final.pth")
    words = shlex.split(step.command("[0, 1]", "_2"))
    assert words[:5] == [
        *("python", "train_net.py", "--config-file", str(config)),
        "model.backbone.architecture=[0, 1]",
    ]
    config.parent.mkdir()
    config.write_text(
        "from omegaconf import OmegaConf\n"
        "train = OmegaConf.create({'output_dir': '', 'init_checkpoint': ''})\n"
    )
    train = load_config(str(config), words[5:]).train
    assert train.output_dir == "out put/a_2"
    assert train.init_checkpoint == "out put/b_2/model_final.pth"


def test_times_that_are_none():
    assert duration(float("nan")) == duration(float("inf")) == "unknown"
