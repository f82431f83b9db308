"""The report of folders in every state: what it says, and that it is always written."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_search import (
    RETRAIN,
    cost_of,
    made_evaluations,
    space_of,
    told_of,
    write_made_search,
    write_made_training,
)
from PIL import Image

from detnas_d2.report import training_chart as training_charts
from detnas_d2.report import write_report
from detnas_d2.report.__main__ import main
from detnas_d2.report.style import chart_style
from detnas_d2.search import rank, write_best

SECTIONS = ("best", "progress", "costs", "top", "choices", "detections", "run", "training", "steps")
SPACE = space_of()


class Page(HTMLParser):
    """The parts of a page, and whether its elements are closed in their order."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html, self.open, self.tags, self.words = html, [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def copied(self) -> list[str]:
        return [a["data-copy"] for a in self.all("button")]


def report(folder: Path) -> Page:
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(set(ids)) == len(ids) and set(SECTIONS) <= {i.rpartition("-")[2] for i in ids}
    for image in page.all("img"):
        assert image["alt"] and image["src"].startswith("data:image/")
    sources = [a.get(key) for _, a in page.tags for key in ("src", "href", "srcset") if key in a]
    assert all(s.startswith(("data:", "#")) for s in sources)  # nothing comes from elsewhere
    assert not re.search(r"url\(|@import|fetch\(", page.html)
    return page


def test_a_search_that_runs(tmp_path):
    """37 of 120, and the line that is just being written; then stopped, then finished."""
    evaluations = made_evaluations(SPACE, 37)
    folder = write_made_search(tmp_path / "s", evaluations, SPACE)
    with open(folder / "ledger.jsonl", "ab") as ledger:
        ledger.write(b'{"architecture": [0, 1')
    page = report(folder)
    best = rank(evaluations)[0]
    assert "Running, 37 of 120 candidates" in page.text
    assert "writes detections.json when the search ends" in page.text
    assert str(best.architecture) in page.text and f"{best.fitness:.2f}" in page.text
    assert f"bbox/AP {best.fitness:.2f} (supernet)" in page.text
    charts = ("fitness.png", "fitness_flops.png", "network.png", "top_choices.png")
    assert {p.name for p in (folder / "report").iterdir()} == {
        *("index.html", "generations.png", *charts)
    }
    (folder / "report" / "fitness_latency.png").write_text("of an earlier report")
    (folder / "report" / "mine.png").write_text("of the reader")
    long_ago = time.time() - 7200
    os.utime(folder / "ledger.jsonl", (long_ago, long_ago))
    assert "Stopped, 37 of 120 candidates; the last one 2 h 00 min ago" in report(folder).text
    assert (folder / "report" / "mine.png").exists()
    assert not (folder / "report" / "fitness_latency.png").exists()
    write_best(folder / "best_architecture.json", best)
    assert "Finished: 37 of 120 candidates (it ended early" in report(folder).text


def test_the_top_ten_are_trained_in_folders_of_their_own(tmp_path):
    """And the second command of a network begins with what its first one wrote."""
    first = {**RETRAIN, "config": "a b.py", "output": "out/a"}
    second = {**RETRAIN, "config": "c.py", "output": "c", "checkpoint": "out/a/model_final.pth"}
    evaluations = made_evaluations(SPACE, 30, failing=[3])
    page = report(write_made_search(tmp_path / "s", evaluations, SPACE, retrain=[first, second]))
    ranked = rank(evaluations)
    for place, e in enumerate(ranked[:10], start=1):
        assert str(e.architecture) in page.copied
        (text,) = {c for c in page.copied if "train_net.py" in c and f"={e.architecture}" in c}
        lines = [shlex.split(line) for line in text.splitlines()]
        assert [line[:4] for line in lines] == [
            ["python", "train_net.py", "--config-file", config] for config in ("a b.py", "c.py")
        ]
        key = f"model.backbone.architecture={e.architecture}"
        own = (
            [f"train.output_dir=out/a_{place}"],
            [
                f"train.output_dir=c_{place}",
                f"train.init_checkpoint=out/a_{place}/model_final.pth",
            ],
        )
        assert [line[4:] for line in lines] == [[key, *(x if place > 1 else [])] for x in own]
    assert str(ranked[10].architecture) not in page.copied
    assert "one after the other" in page.text
    assert "none" in page.text  # AP50 is null in the ledger


def test_an_image_without_detections_says_so(tmp_path):
    folder = write_made_search(tmp_path / "s", made_evaluations(SPACE, 5), SPACE)
    Image.new("RGB", (40, 30)).save(folder / "a.png")
    box = {"bbox": [1, 1, 20, 20], "class": 0}
    image = {"file": str(folder / "a.png"), "width": 40, "height": 30, "ground_truth": [box]}
    found = [{**image, "detections": []}, {**image, "detections": [{**box, "score": 0.9}]}]
    content = {"classes": ["a"], "images": found, "dataset": "d", "calibration_batches": [1, 1]}
    (folder / "detections.json").write_text(json.dumps({**content, "least_score": 0.3}))
    text = report(folder).text
    assert text.count("then no detection with a score of at least 30%") == 1
    assert text.count("then the detections") == 1


def test_legends_lie_beside_the_curves(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(training_charts, "finish", lambda figure, *_: drawn.append(figure))
    parts = ("loss_box_reg", "loss_cls", "loss_rpn_cls", "loss_rpn_loc")
    lines = [
        {"iteration": i, "total_loss": 1.0, **dict.fromkeys(parts, 0.2), "bbox/AP": i, "lr": 0.1}
        for i in (20, 40)
    ]
    with chart_style():
        training_charts.training_chart(lines, "s", tmp_path / "s.png")
        (figure,) = drawn
        figure.draw_without_rendering()
        legends = [(a.bbox, a.get_legend().get_window_extent()) for a in figure.axes[:2]]
    for axes, legend in legends:
        assert legend.y0 >= axes.y1 and legend.x0 >= 0 and legend.x1 <= figure.bbox.x1
        assert legend.y1 <= figure.bbox.y1
    assert legends[1][1].y1 <= legends[0][0].y0  # below the first axes


def test_names_and_errors_are_escaped(tmp_path):
    """Errors, folders, metrics and names of choices are text, whatever is in them."""
    evaluations = made_evaluations(SPACE, 12, failing=[4, 7])
    space = told_of(SPACE)["space"]
    space["choices"][-1] = "<i>größte$ $"
    told = {"metric": "bbox/<b>Ä", "space": space}
    folder = tmp_path / "<script>alert(1)</script> $x$ ü"
    page = report(write_made_search(folder, evaluations, SPACE, **told))
    assert page.all("b") == page.all("i") == [] and len(page.all("script")) == 1
    assert "2 ValueError: <b>no</b> & never" in page.text and "bbox/<b>Ä" in page.text
    assert any("<i>größte$ $" in image["alt"] for image in page.all("img"))


@pytest.mark.parametrize(
    ("options", "blocks", "count"), [(3, (1, 1), 1), (7, (10, 10, 10, 10), 40), (2, (1, 1, 1), 8)]
)
def test_other_spaces(tmp_path, options, blocks, count):
    space = space_of(options, blocks)
    page = report(write_made_search(tmp_path / "s", made_evaluations(space, count), space))
    assert len(page.all("img")) == 5 and f"res{1 + len(blocks)}" in page.text


def test_only_failures(tmp_path):
    evaluations = made_evaluations(SPACE, 5, failing=range(5))
    text = report(write_made_search(tmp_path / "s", evaluations, SPACE)).text
    assert "All candidates failed so far" in text and "--retry-failed" in text
    assert "5 ValueError: <b>no</b> & never" in text


def test_an_empty_and_a_missing_folder(tmp_path):
    page = report(tmp_path)
    assert "There is no ledger.jsonl in this folder" in page.text
    assert "python search_net.py" in page.text and "python train_net.py" in page.text
    write_made_training(tmp_path / "demo" / "step1")
    assert "Folders below it hold some; give one of them: demo." in report(tmp_path).text
    with pytest.raises(SystemExit, match="There is no folder .*give the output folder of a search"):
        main([str(tmp_path / "nowhere")])
    assert not (tmp_path / "nowhere").exists()


def test_a_search_of_before(tmp_path):
    """Without search.json nothing of it is shown, and the page says what to do."""
    folder = write_made_search(tmp_path / "s", made_evaluations(SPACE, 11), SPACE)
    (folder / "search.json").unlink()
    page = report(folder)
    assert "search_net.py --resume writes it anew" in page.text and page.all("img") == []


def test_costs_and_front_of_a_pareto_search(tmp_path):
    evaluations = made_evaluations(SPACE, 30)
    costs = told_of(SPACE)["costs"]
    costs[1]["limit"] = 9e9
    costs.append(cost_of("latency", "ms", 0.5, [[1.25] * SPACE.num_choices] * 8, 12.0))
    folder = write_made_search(tmp_path / "s", evaluations, SPACE, costs=costs)
    front = [
        {"architecture": list(e.architecture), "fitness": e.fitness, "latency": 12345}
        for e in rank(evaluations)[:2]
    ]
    (folder / "pareto_front.json").write_text(json.dumps({"front": front}))
    page = report(folder)
    alts = " ".join(image["alt"] for image in page.all("img"))
    for label in ("multiply-adds, M", "parameters, M", "latency, ms"):
        assert f"Fitness against {label}" in alts
    assert "30 candidates from 10.5 to 10.5, the limit 12; " in alts  # 0.5 and 8 times 1.25
    assert "The front of this Pareto search" in page.text and "1.234e+04" in page.text


def test_many_candidates_are_quick_and_small(tmp_path):
    evaluations = made_evaluations(SPACE, 5000, population=250)
    folder = write_made_search(tmp_path / "s", evaluations, SPACE)
    start = time.process_time()
    page = report(folder)
    assert time.process_time() - start < 10
    assert len(page.html) < 3e6 and "5,000 of 120" in page.text
