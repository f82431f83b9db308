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
    draw_nothing,
    made_evaluations,
    space_of,
    told_of,
    write_made_detections,
    write_made_ranking,
    write_made_search,
    write_made_training,
)

from detnas_d2.report import ranking_part, write_report
from detnas_d2.report.__main__ import main
from detnas_d2.report.ranking_part import ranking_chart
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


@pytest.mark.parametrize(
    ("weights", "scored", "measured", "detections"),
    [
        ("training", "short training", "measured after a short training; trained whole, ", "gone."),
        ("none", "record", "looked up in a record; no network ran.", "fitness was looked up."),
    ],
)
def test_a_search_without_a_supernet(weights, scored, measured, detections, tmp_path, monkeypatch):
    draw_nothing(monkeypatch)
    folder = write_made_search(tmp_path / "s", made_evaluations(SPACE, 9), SPACE, weights=weights)
    text = report(folder).text
    assert re.search(rf"bbox/AP [\d.]+ \({scored}\)", text)
    assert f"Fitness is {measured}" in text and detections in text
    assert "supernet's weights" not in text


def test_a_search_that_runs(tmp_path, monkeypatch):
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
    draw_nothing(monkeypatch)
    long_ago = time.time() - 7200
    os.utime(folder / "ledger.jsonl", (long_ago, long_ago))
    assert "Stopped, 37 of 120 candidates; the last one 2 h 00 min ago" in report(folder).text
    assert (folder / "report" / "mine.png").exists()
    assert not (folder / "report" / "fitness_latency.png").exists()
    write_best(folder / "best_architecture.json", best)
    assert "Finished: 37 of 120 candidates (it ended early" in report(folder).text


def test_the_top_ten_are_trained_in_folders_of_their_own(tmp_path, monkeypatch):
    """And the second command of a network begins with what its first one wrote."""
    draw_nothing(monkeypatch)
    first = {**RETRAIN, "config": "a b.py", "output": "out/a"}
    second = {**RETRAIN, "config": "c.py", "output": "c", "checkpoint": "out/a/model_final.pth"}
    evaluations = made_evaluations(SPACE, 30, failing=[3])
    page = report(write_made_search(tmp_path / "s", evaluations, SPACE, retrain=[first, second]))
    ranked = rank(evaluations)
    for place, e in enumerate(ranked[:10], start=1):
        end, key = f"_{place}" if place > 1 else "", f"model.backbone.architecture={e.architecture}"
        lines = [
            ["a b.py", key, f"train.output_dir=out/a{end}"],
            ["c.py", key, f"train.output_dir=c{end}"],
        ]
        lines[1].append(f"train.init_checkpoint=out/a{end}/model_final.pth")
        start = ["python", "train_net.py", "--config-file"]
        assert str(e.architecture) in page.copied
        assert "\n".join(shlex.join([*start, *line]) for line in lines) in page.copied
    assert str(ranked[10].architecture) not in page.copied
    assert "one after the other" in page.text
    assert "none" in page.text  # AP50 is null in the ledger


def test_an_image_without_detections_says_so(tmp_path, monkeypatch):
    draw_nothing(monkeypatch)
    folder = write_made_search(tmp_path / "s", made_evaluations(SPACE, 5), SPACE)
    write_made_detections(folder, {"detections": []}, calibration_batches=[16, 250])
    text = report(folder).text
    assert text.count("then no detection with a score of at least 30%") == 1
    assert text.count("then the detections") == 1 and "16 of the search's 250 batches" in text


def test_how_well_the_fitness_ranks(tmp_path, monkeypatch):
    """A chart, the figures and what they mean, where ranking.json is there."""
    draw_nothing(monkeypatch)
    monkeypatch.setattr(ranking_part, "ranking_chart", ranking_chart)
    evaluations = made_evaluations(SPACE, 30, failing=[3])
    folder = write_made_search(tmp_path / "s", evaluations, SPACE)
    assert "How well the fitness ranks" not in report(folder).text
    content = write_made_ranking(folder, evaluations)
    page = report(folder)
    assert "ranking.png" in {p.name for p in (folder / "report").iterdir()}
    assert content["meaning"] in page.text and "orders 100% of pairs" in page.text
    assert "Kendall's tau 1.00 (1.00 to 1.00)" in page.text
    assert any("Fitness of 29 networks against" in image["alt"] for image in page.all("img"))
    (folder / "ranking.json").unlink()
    report(folder)
    assert not (folder / "report" / "ranking.png").exists()


def test_names_and_errors_are_escaped(tmp_path):
    """Errors, folders, metrics and names of choices are text, whatever is in them."""
    evaluations = made_evaluations(SPACE, 12, failing=[4, 7])
    space = told_of(SPACE)["space"]
    space["choices"][-1] = "<i>größte$ $"
    told = {"metric": "bbox/<b>Ä", "space": space}
    folder = tmp_path / "<script>alert(1)</script> $x$ ü"
    write_made_search(folder, evaluations, SPACE, **told)
    ranking = write_made_ranking(folder, evaluations)
    ranking["fitness"]["metric"] = ranking["meaning"] = "<b>$ $"
    (folder / "ranking.json").write_text(json.dumps(ranking))
    page = report(folder)
    assert page.all("b") == page.all("i") == [] and len(page.all("script")) == 1
    assert "2 ValueError: <b>no</b> & never" in page.text and "bbox/<b>Ä" in page.text
    assert any("<i>größte$ $" in image["alt"] for image in page.all("img"))


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
    best = {"architecture": list(rank(evaluations)[0].architecture), "latency": 12345}
    (folder / "pareto_front.json").write_text(json.dumps({"front": [best]}))
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
