"""projects/DetNAS/retrain.py with fake scripts."""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from fake_scripts import calls, write_fake_scripts

from detnas_d2.engine import ConfigError
from detnas_d2.space import CostTable, get_space
from detnas_d2.steps import Step

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = {
    "search_config": "configs/demo/step3_search.py",
    "test_config": "configs/demo/step4_detection.py",
    "count": 3,
    "seed": 0,
    "num_gpus": 2,
    "architecture": None,
    "name": "random",
}


@pytest.fixture
def tool(tmp_path, monkeypatch):
    path = ROOT / "projects" / "DetNAS" / "retrain.py"
    spec = importlib.util.spec_from_file_location("retrain", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "retrain", module)
    spec.loader.exec_module(module)
    write_fake_scripts(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return module


def test_each_is_retrained_and_tested(tool, tmp_path, monkeypatch, capsys):
    for i, (ap, small) in enumerate([(10.0, 1.0), (20.0, None), (40.0, 3.0)]):
        folder = tmp_path / f"output/demo/step4_detection_random_{i}"
        folder.mkdir(parents=True)
        (folder / "evaluation.json").write_text(json.dumps({"bbox/AP": ap, "bbox/APs": small}))
    tool.main(Namespace(**ARGUMENTS))
    lines = [c.split() for c in calls(tmp_path)]
    assert [Path(c[2]).stem for c in lines] == 3 * [
        *("step4_classification", "step4_detection", "step4_detection")
    ]
    for i in range(3):
        classification, detection, test = lines[3 * i : 3 * i + 3]
        assert f"train.output_dir=output/demo/step4_classification_random_{i}" in classification
        weights = f"train.init_checkpoint=output/demo/step4_{{}}_random_{i}/model_final.pth"
        assert weights.format("classification") in detection
        assert weights.format("detection") in test and "--eval-only" in test
        assert all(c[4:6] == ["--num-gpus", "2"] for c in (classification, detection, test))
        keys = [x.partition("architecture=")[2] for c in lines[3 * i : 3 * i + 3] for x in c]
        assert len({k for k in keys if k}) == 1  # one architecture through all three
    summary = json.loads((tmp_path / "output/demo/step4_detection_random.json").read_text())
    assert summary["mean"] == {"bbox/AP": pytest.approx(70 / 3)}
    assert summary["deviation"] == {"bbox/AP": pytest.approx(statistics.stdev([10, 20, 40]))}
    assert [r["bbox/APs"] for r in summary["runs"]] == [1.0, None, 3.0]
    assert "23.33 ± 15.28" in capsys.readouterr().out
    tool.main(Namespace(**ARGUMENTS))
    assert len(calls(tmp_path)) == 9  # all was done


def test_a_given_network(tool, tmp_path, capsys):
    folder = tmp_path / "output/demo/step4_detection_mine"
    folder.mkdir(parents=True)
    (folder / "evaluation.json").write_text(json.dumps({"bbox/AP": 12.5}))
    given = {"architecture": "0,1,2,3,0,1,2,3,0,1", "name": "mine"}
    tool.main(Namespace(**{**ARGUMENTS, **given}))
    assert len(calls(tmp_path)) == 3 and all("=0,1,2,3" in c for c in calls(tmp_path))
    assert "12.50\n" in capsys.readouterr().out


def test_a_space_of_ones_own(workspace):
    """A config's own space object, not a space's name."""
    path = workspace / "configs/tiny/step3.py"
    drawn = Step("search", "search", path, ROOT).draw(4, 0)
    assert len(set(drawn)) == 4 and {a.space.name for a in drawn} == {"tiny"}


def test_drawn_under_the_limit():
    step = Step("search", "search", ROOT / ARGUMENTS["search_config"], ROOT)
    drawn, search = step.draw(50, 0), step.cfg.search
    cost = CostTable(get_space("demo"), tuple(search.input_size))
    assert len(set(drawn)) == 50 and all(cost.flops(a) <= search.flops_limit for a in drawn)
    assert drawn == step.draw(50, 0) != step.draw(50, 1)


def test_a_test_of_another_network_is_refused(tool):
    """Before any of the retrainings, which take days."""
    networks = {"a": "0,0,0,0,0,0,0,0,0,0"}
    with pytest.raises(ConfigError, match="is none that .* retrains by"):
        tool.plan(ARGUMENTS["search_config"], "configs/bccd/step4_detection_fpn.py", networks, 0)
