"""tools/run_steps.py and projects/DetNAS/retrain.py with fake scripts: what they run."""

from __future__ import annotations

import importlib
import json
import re
import statistics
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_scripts import calls, write_fake_scripts

from detnas_d2.engine import load_config
from detnas_d2.space import Architecture, CostTable, get_space
from detnas_d2.steps import Step, StepError

ROOT = Path(__file__).resolve().parents[2]
SEARCH = "configs/demo/step3_search.py"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Imports a program; its repository is a temporary folder that has fake scripts."""
    write_fake_scripts(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)

    def imported(folder: str, name: str):
        monkeypatch.syspath_prepend(str(ROOT / folder))
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "ROOT", tmp_path)
        return module

    return imported


@pytest.mark.parametrize("detector", ["fpn", "retinanet"])
def test_steps_in_order(load, detector):
    """Each reads what one before it wrote; the random architecture's steps likewise."""
    tool = load("tools", "run_steps")
    steps = tool.steps_of(ROOT / "configs/bccd", detector)
    steps = tool.with_random(steps, Path("random.json"))
    assert [s.name for s in steps] == [*tool.STEPS, *(f"{name}_random" for name in tool.COMPARED)]
    written = {"random.json"}
    for step in steps:
        assert set(step.reads) <= written, step.name
        if step.name.endswith("_random"):
            assert "best_architecture" not in " ".join(step.reads)
            assert step.cfg.train.output_dir.endswith("_random")
        written.add(step.writes)
    assert len({(s.folder, s.kind) for s in steps}) == len(steps)


def evaluated(name: str, **metrics: float | None) -> None:
    """What a network's test has left."""
    folder = Path(f"output/demo/step4_detection{name}")
    folder.mkdir(parents=True)
    content = {f"bbox/{key}": value for key, value in metrics.items()}
    (folder / "evaluation.json").write_text(json.dumps(content))


def test_all_steps_once(load, monkeypatch, capsys):
    """Stopped and gone on with; the random architecture stays the same, under the limit."""
    tool = load("tools", "run_steps")
    monkeypatch.setattr(tool, "write_digits", lambda *args: None)
    # what tests and search write, which the fakes do not
    evaluated("", AP=41.26, AP50=41.26)
    evaluated("_random", AP=None, AP50=None)
    scores = [(30.0, 0), (None, 0), (36.0, 0), (50.0, 1)]
    evaluations = [SimpleNamespace(fitness=f, generation=g) for f, g in scores]
    monkeypatch.setattr(tool, "read_ledger", lambda path, space: (None, evaluations))

    def run():
        tool.run("demo", None, only_estimate=False, long=False)
        return json.loads(Path("output/demo/summary.json").read_text())

    Path("fail").write_text("step4_detection_random")
    with pytest.raises(StepError):
        run()
    assert len(calls(Path())) == 8
    drawn = Path("output/demo/random_architecture.json")
    search, content = load_config(str(ROOT / SEARCH)).search, drawn.read_text()
    cost = CostTable(get_space("demo"), tuple(search.input_size))
    assert cost.flops(Architecture.parse(str(drawn), cost.space)) <= search.flops_limit

    Path("fail").unlink()
    capsys.readouterr()
    summary, printed = run(), capsys.readouterr().out
    assert "times added up over starts: step4_detection_random 2\n" in printed
    assert "search: 4 architectures, best fitness 50.00, mean of the random ones 33.00" in printed
    assert re.search(r"(?m)^searched, test set +41.26 +41.26$", printed)
    assert re.search(r"(?m)^random, test set +none +none$", printed)
    assert summary["test"] == {"AP": 41.26, "AP50": 41.26}
    assert "output/demo/report/index.html" in printed
    assert summary["starts"] == {"step4_detection_random": 2}
    assert len(summary["seconds"]) == 9 and drawn.read_text() == content
    Path("output/demo/step4_detection/coco_instances_results.json").write_text("damaged")
    assert run() == summary and len(calls(Path())) == 8 + 2
    printed = capsys.readouterr().out
    assert "9 of 9 steps were done before" in printed
    assert "some test images: not written (" in printed
    assert "the report, for a browser: output/demo/report/index.html" in printed


@pytest.fixture
def retrain(load):
    """The program, called with more arguments."""
    module = load("projects/DetNAS", "retrain")

    def call(*more: str, test: str = "configs/demo/step4_detection.py") -> None:
        configs = [str(module.ROOT / config) for config in (SEARCH, test)]
        module.main([*configs, "--count=3", "--num-gpus=2", *more])

    return call


def test_random_networks_and_given_ones_are_retrained_and_tested(retrain, capsys, monkeypatch):
    for i, (ap, small) in enumerate([(10.0, 1.0), (20.0, None), (40.0, 3.0)]):
        evaluated(f"_random_{i}", AP=ap, APs=small)
    retrain()
    lines = [c.split() for c in calls(Path())]
    steps = ["step4_classification", "step4_detection", "step4_detection"]
    assert [Path(c[2]).stem for c in lines] == 3 * steps
    for i in range(3):
        classification, detection, test = three = lines[3 * i : 3 * i + 3]
        assert f"train.output_dir=output/demo/step4_classification_random_{i}" in classification
        weights = f"train.init_checkpoint=output/demo/step4_{{}}_random_{i}/model_final.pth"
        assert weights.format("classification") in detection
        assert weights.format("detection") in test and "--eval-only" in test
        assert all(c[4:6] == ["--num-gpus", "2"] for c in three)
        keys = [x.partition("architecture=")[2] for c in three for x in c]
        assert len({k for k in keys if k}) == 1  # one architecture through all three
    summary = json.loads(Path("output/demo/step4_detection_random.json").read_text())
    assert summary["mean"] == {"bbox/AP": pytest.approx(70 / 3)}
    assert summary["deviation"] == {"bbox/AP": pytest.approx(statistics.stdev([10, 20, 40]))}
    assert [r["bbox/APs"] for r in summary["runs"]] == [1.0, None, 3.0]
    assert "23.33 ± 15.28" in capsys.readouterr().out

    evaluated("_mine", AP=12.5)
    retrain("--architecture=0,1,2,3,0,1,2,3,0,1", "--name=mine")
    given = calls(Path())[9:]
    assert len(given) == 3 and all("=0,1,2,3" in c for c in given)
    assert "12.50\n" in capsys.readouterr().out

    evaluated("_file", AP=12.5)
    root, folder = Path.cwd(), Path("elsewhere")
    folder.mkdir()
    best = {"space": "demo", "architecture": [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]}
    (folder / "best.json").write_text(json.dumps(best))
    monkeypatch.chdir(folder)
    retrain("--architecture=best.json", "--name=file")
    assert all("architecture=elsewhere/best.json" in c for c in calls(root)[12:])

    # before any of the retrainings, which take days
    with pytest.raises(SystemExit, match="is none that .* retrains by"):
        retrain(test="configs/bccd/step4_detection_fpn.py")
    with pytest.raises(SystemExit):
        retrain("--architecture=0,1,2,3,0,1,2,3,0,1")
    assert "--architecture needs --name" in capsys.readouterr().err and len(calls(root)) == 15


def test_drawn_under_the_limit(workspace):
    step = Step("search", "search", ROOT / SEARCH, ROOT)
    drawn, search = step.draw(50, 0), step.cfg.search
    cost = CostTable(get_space("demo"), tuple(search.input_size))
    assert len(set(drawn)) == 50 and all(cost.flops(a) <= search.flops_limit for a in drawn)
    assert drawn == step.draw(50, 0) != step.draw(50, 1)
    # a config's own space object, not a space's name
    own = Step("search", "search", workspace / "configs/tiny/step3.py", ROOT).draw(4, 0)
    assert len(set(own)) == 4 and {a.space.name for a in own} == {"tiny"}
