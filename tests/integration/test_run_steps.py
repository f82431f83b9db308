"""tools/run_steps.py with fake scripts: the order of the steps, and the summary."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_scripts import calls, write_fake_scripts

from detnas_d2.engine import load_config
from detnas_d2.space import Architecture, CostTable, get_space
from detnas_d2.steps import StepError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The module, with its repository in a temporary folder that has fake scripts.

    Data sets are left out; what tests and search write, which the fakes do not, is there.
    """
    spec = importlib.util.spec_from_file_location("run_steps", ROOT / "tools" / "run_steps.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "run_steps", module)
    spec.loader.exec_module(module)
    write_fake_scripts(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("write_digits", "write_bccd_boxes"):
        monkeypatch.setattr(module, name, lambda *args: None)
    for name, ap in (("step4_detection", 41.26), ("step4_detection_random", None)):
        (tmp_path / "output/demo" / name).mkdir(parents=True)
        metrics = json.dumps({"bbox/AP": ap, "bbox/AP50": ap})
        (tmp_path / "output/demo" / name / "evaluation.json").write_text(metrics)
    scores = [(30.0, 0), (None, 0), (36.0, 0), (50.0, 1)]
    evaluations = [SimpleNamespace(fitness=f, generation=g) for f, g in scores]
    monkeypatch.setattr(module, "read_ledger", lambda path, space: (None, evaluations))
    return module


@pytest.mark.parametrize(
    ("dataset", "detector"), [("demo", None), ("bccd", "fpn"), ("bccd", "retinanet")]
)
def test_steps_in_order(tool, dataset, detector):
    """Each reads what one before it wrote; the random architecture's steps likewise."""
    steps = tool.with_random(
        tool.steps_of(ROOT / "configs" / dataset, detector), Path("random.json")
    )
    assert [s.name for s in steps] == [
        *tool.STEPS,
        *(f"{name}_random" for name in tool.COMPARED),
    ]
    written = {"random.json"}
    for step in steps:
        assert set(step.reads) <= written, step.name
        if step.name.endswith("_random"):
            assert "best_architecture" not in " ".join(step.reads)
            assert step.cfg.train.output_dir.endswith("_random")
        written.add(step.writes)
    assert len({(s.folder, s.kind) for s in steps}) == len(steps)


def test_all_steps_once(tool, tmp_path, capsys):
    """The random architecture is always the same one, under the search's limit."""

    def run():
        tool.main("demo", None, only_estimate=False, long=False)
        return json.loads((tmp_path / "output/demo/summary.json").read_text())

    (tmp_path / "fail").write_text("step4_detection_random")
    with pytest.raises(StepError):
        run()
    assert len(calls(tmp_path)) == 8
    drawn = tmp_path / "output/demo/random_architecture.json"
    search = load_config(str(ROOT / "configs/demo/step3_search.py")).search
    content, space = drawn.read_text(), get_space("demo")
    cost = CostTable(space, tuple(search.input_size))
    assert cost.flops(Architecture.parse(str(drawn), space)) <= search.flops_limit

    (tmp_path / "fail").unlink()
    capsys.readouterr()
    summary = run()
    first = capsys.readouterr().out
    assert "times added up over starts: step4_detection_random 2\n" in first
    assert "search: 4 architectures, best fitness 50.00, mean of the random ones 33.00" in first
    assert re.search(r"(?m)^searched, test set +41.26 +41.26$", first)
    assert re.search(r"(?m)^random, test set +none +none$", first)
    assert summary["test"] == {"AP": 41.26, "AP50": 41.26}
    assert "output/demo/report/index.html" in first
    assert summary["starts"] == {"step4_detection_random": 2}
    assert len(summary["seconds"]) == 9 and drawn.read_text() == content
    assert run() == summary and len(calls(tmp_path)) == 8 + 2
    assert "9 of 9 steps were done before" in capsys.readouterr().out
