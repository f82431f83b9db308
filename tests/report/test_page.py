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
import yaml
from made_search import (
    config_of,
    made_evaluations,
    space_of,
    write_made_search,
    write_made_training,
)
from PIL import Image

from detnas_d2.engine import load_config
from detnas_d2.report import training_chart as training_charts
from detnas_d2.report import write_report
from detnas_d2.report.__main__ import main
from detnas_d2.report.style import chart_style
from detnas_d2.search import rank, write_best

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ("best", "progress", "costs", "top", "choices", "detections", "run", "training", "steps")


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


def report(folder, **how) -> Page:
    page = Page(write_report(folder, **how).read_text(encoding="utf-8"))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(set(ids)) == len(ids) and set(SECTIONS) <= {i.rpartition("-")[2] for i in ids}
    for image in page.all("img"):
        assert image["alt"] and image["src"].startswith("data:image/")
    return page


def test_a_search_that_runs(tmp_path):
    """37 of 120, and the line that is just being written."""
    evaluations = made_evaluations(space_of(), 37)
    folder = write_made_search(tmp_path / "s", evaluations, space_of())
    with open(folder / "ledger.jsonl", "ab") as ledger:
        ledger.write(b'{"architecture": [0, 1')
    page = report(folder)
    assert "Running, 37 of 120 candidates" in page.text
    assert "writes detections.json when the search ends" in page.text
    best = rank(evaluations)[0]
    assert str(best.architecture) in page.text and f"{best.fitness:.2f}" in page.text
    files = {p.name for p in (folder / "report").iterdir()}
    assert files == {
        "index.html",
        *("fitness.png", "fitness_flops.png", "network.png"),
        *("top_choices.png", "generations.png"),
    }
    long_ago = time.time() - 7200
    os.utime(folder / "ledger.jsonl", (long_ago, long_ago))
    assert "Stopped, 37 of 120 candidates; the last one 2 h 00 min ago" in report(folder).text
    write_best(folder / "best_architecture.json", best)
    assert "Finished: 37 of 120 candidates (it ended early" in report(folder).text


def test_the_top_ten_and_their_commands(tmp_path):
    evaluations = made_evaluations(space_of(), 30, failing=[3])
    page = report(write_made_search(tmp_path / "s", evaluations, space_of()))
    copied = [a["data-copy"] for a in page.all("button")]
    for place, e in enumerate(rank(evaluations)[:10], start=1):
        assert copied.count(str(e.architecture)) >= 1
        command = "python train_net.py --config-file STEP4_CONFIG model.backbone.architecture="
        own_folder = f" train.output_dir=STEP4_FOLDER_{place}" if place > 1 else ""
        assert command + str(e.architecture) + own_folder in copied
    assert str(rank(evaluations)[10].architecture) not in copied
    assert "none" in page.text  # AP50 is null in the ledger


def test_the_top_ten_are_trained_in_folders_of_their_own(tmp_path):
    """And the second command of a network begins with what its first one wrote."""
    configs = ["configs/demo/step4_classification.py", "configs/demo/step4_detection.py"]
    evaluations = made_evaluations(space_of(), 15)
    folder = write_made_search(tmp_path / "s", evaluations, space_of(), retrain=configs)
    copied = [a["data-copy"] for a in report(folder).all("button")]
    folders = set()
    for e in rank(evaluations)[:10]:
        (text,) = {c for c in copied if "train_net.py" in c and f"={e.architecture}" in c}
        cfgs = []
        for config, line in zip(configs, text.splitlines(), strict=True):
            assert line.startswith(f"python train_net.py --config-file {config} ")
            overrides = shlex.split(line)[4:]
            cfgs.append(load_config(str(ROOT / config), overrides))
        first, second = (cfg.train for cfg in cfgs)
        assert second.init_checkpoint == f"{first.output_dir}/model_final.pth"
        folders |= {first.output_dir, second.output_dir}
    assert len(folders) == 20
    assert {"output/demo/step4_detection", "output/demo/step4_detection_10"} <= folders


def test_the_row_of_a_search(tmp_path):
    """Its time by its candidates and workers, and what the best reached."""
    evaluations = made_evaluations(space_of(), 40)
    folder = write_made_search(tmp_path / "s", evaluations, space_of(), workers=2)
    best = rank(evaluations)[0].fitness
    assert f"about 30 s bbox/AP {best:.2f} (supernet)" in report(folder).text  # 40 * 1.5 s / 2


def test_an_image_without_detections_says_so(tmp_path):
    folder = write_made_search(tmp_path / "s", made_evaluations(space_of(), 5), space_of())
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
    """Errors, folders, metrics and class names are text, whatever is in them."""
    evaluations = made_evaluations(space_of(), 12, failing=[4, 7])
    folder = write_made_search(
        tmp_path / "<script>alert(1)</script> $x$ ü", evaluations, space_of(), metric="bbox/<b>Ä"
    )
    page = report(folder)
    assert page.all("b") == [] and len(page.all("script")) == 1
    assert "ValueError: <b>no</b> & never" in page.text and "bbox/<b>Ä" in page.text


@pytest.mark.parametrize(
    ("options", "blocks", "count"),
    [(3, (1, 1), 1), (7, (10, 10, 10, 10), 40), (2, (1, 1, 1), 8), (4, (1, 1, 1, 1, 1), 25)],
)
def test_other_spaces(tmp_path, options, blocks, count):
    space = space_of(options, blocks)
    evaluations = made_evaluations(space, count)
    page = report(write_made_search(tmp_path / "s", evaluations, space, flops_limit=10**9))
    assert len(page.all("img")) == 5 and f"res{1 + len(blocks)}" in page.text


def test_a_choice_with_a_name_of_its_own(tmp_path, monkeypatch):
    """A module of the user's: found where it can be imported, named where it can't."""
    (tmp_path / "own_choice_of_report.py").write_text(
        "from detnas_d2.space import ShuffleChoice\n"
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Own(ShuffleChoice):\n"
        "    name = '<i>größte$ $'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_choice_of_report as own

    space = space_of(2)
    space = type(space)(space.name, 8, space.stages, [*space.choices, own.Own()])
    folder = write_made_search(tmp_path / "s", made_evaluations(space, 20), space)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    choices = config["model"]["backbone"]["bottom_up"]["space"]["choices"]
    choices[-1] = {"_target_": "own_choice_of_report.Own"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert "config.yaml calls 'own_choice_of_report.Own'" in report(folder).text
    page = report(folder, trust=True)
    assert any("<i>größte$ $" in image["alt"] for image in page.all("img"))
    choices[-1] = {"_target_": "no_such_module.Own"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    text = report(folder, trust=True).text
    assert "The search space of config.yaml can't be built" in text and "no_such_module" in text


def test_only_failures(tmp_path):
    evaluations = made_evaluations(space_of(), 5, failing=range(5))
    text = report(write_made_search(tmp_path / "s", evaluations, space_of())).text
    assert "All candidates failed so far" in text and "--retry-failed" in text
    assert "5 ValueError: <b>no</b> & never" in text


def test_an_empty_folder(tmp_path):
    page = report(tmp_path)
    assert "There is no ledger.jsonl in this folder" in page.text
    assert "python search_net.py" in page.text and "python train_net.py" in page.text
    write_made_training(tmp_path / "demo" / "step1")
    assert "Folders below it hold some; give one of them: demo." in report(tmp_path).text


def test_a_missing_folder(tmp_path):
    with pytest.raises(SystemExit, match="There is no folder .*give the output folder of a search"):
        main([str(tmp_path / "nowhere")])
    assert not (tmp_path / "nowhere").exists()


def test_damage_is_told(tmp_path):
    space = space_of()
    folder = write_made_search(tmp_path / "s", made_evaluations(space, 20), space)
    lines = (folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"ok"', b'"OK"')
    (folder / "ledger.jsonl").write_bytes(b"".join(lines))
    text = report(folder).text
    assert "1 damaged lines of ledger.jsonl are passed over: line 5 (" in text
    assert "Running, 19 of 120" in text

    (folder / "ledger.jsonl").write_bytes(b"x" + b"".join(lines))
    assert "The first line of ledger.jsonl, its header, can't be read" in report(folder).text
    (folder / "ledger.jsonl").write_bytes(b"")
    assert "ledger.jsonl is empty" in report(folder).text
    (folder / "config.yaml").write_text("a: [1\n")
    assert "config.yaml can't be read" in report(folder).text
    for name in ("detections.json", "pareto_front.json", "done.json", "evaluation.json"):
        (folder / name).write_text('["no"')
    (folder / "metrics.json").write_text("no\n[1]\n")
    assert "done.json can't be read" in report(folder).text


def test_another_definition_of_the_space(tmp_path):
    space = space_of()
    folder = write_made_search(tmp_path / "s", made_evaluations(space, 5), space)
    (folder / "config.yaml").write_text(yaml.safe_dump(config_of(space_of(3), folder)))
    assert "is defined otherwise here than when the search was begun" in report(folder).text


def test_without_a_config_a_built_in_space_is_known(tmp_path):
    from detnas_d2.space import get_space

    folder = write_made_search(
        tmp_path / "s", made_evaluations(get_space("demo"), 11), get_space("demo")
    )
    (folder / "config.yaml").unlink()
    page = report(folder)
    assert "There is no config.yaml" in page.text and "Running, 11 candidates" in page.text
    assert len(page.all("img")) == 5


def test_limits_and_front_of_a_pareto_search(tmp_path):
    space = space_of()
    evaluations = made_evaluations(space, 30)
    algorithm = {
        "_target_": "detnas_d2.search.ParetoSearch",
        "costs": ["flops", "latency"],
        "population": 10,
        "generations": 3,
    }
    folder = write_made_search(
        tmp_path / "s", evaluations, space, algorithm=algorithm, latency_limit=3.0, params_limit=9e9
    )
    front = [
        {"architecture": list(e.architecture), "fitness": e.fitness, "latency": 12345}
        for e in rank(evaluations)[:2]
    ]
    (folder / "pareto_front.json").write_text(json.dumps({"front": front}))
    page = report(folder)
    alts = " ".join(image["alt"] for image in page.all("img"))
    for label in ("multiply-adds, M", "parameters, M"):
        assert f"Fitness against {label}" in alts
    assert "No chart of latency" in page.text  # its table is missing
    assert "The front of this Pareto search" in page.text and "1.234e+04" in page.text


def test_many_candidates_are_quick_and_small(tmp_path):
    space = space_of()
    evaluations = made_evaluations(space, 5000, population=250)
    folder = write_made_search(tmp_path / "s", evaluations, space)
    start = time.process_time()
    page = report(folder)
    assert time.process_time() - start < 10
    assert len(page.html) < 3e6 and "5,000 of 120" in page.text


def test_nothing_comes_from_elsewhere(tmp_path):
    space = space_of()
    folder = write_made_search(tmp_path / "s", made_evaluations(space, 5), space)
    page = report(folder)
    sources = [a.get(key) for _, a in page.tags for key in ("src", "href", "srcset") if key in a]
    assert len(sources) > 10 and all(s.startswith(("data:", "#")) for s in sources)
    assert not re.search(r"url\(|@import|fetch\(", page.html)
