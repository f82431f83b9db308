"""tools/run_steps.py with fake scripts: the order of the steps, and the summary."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_scripts import calls, write_fake_scripts

from detnas_d2.engine import ConfigError, load_config
from detnas_d2.engine.steps import StepError
from detnas_d2.space import Architecture, CostTable

ROOT = Path(__file__).resolve().parents[2]
ORDER = [
    "step1_supernet",
    "step2_supernet",
    "step3_search",
    "step4_classification",
    "step4_detection",
    "step5_test",
    "step4_classification_random",
    "step4_detection_random",
    "step5_test_random",
]


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The module, with its repository in a temporary folder that has fake scripts."""
    spec = importlib.util.spec_from_file_location("run_steps", ROOT / "tools" / "run_steps.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "run_steps", module)  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    write_fake_scripts(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return module


@pytest.fixture
def whole(tool, tmp_path, monkeypatch):
    """main() without data sets and reports, which have tests of their own."""
    monkeypatch.setattr(tool, "write_digits", lambda *args: None)
    monkeypatch.setattr(tool, "write_bccd_boxes", lambda *args: None)
    monkeypatch.setattr(tool, "summary_table", lambda summary: "the table")
    monkeypatch.setattr(
        tool, "summarise", lambda search, space, tests, seconds: {"seconds": seconds}
    )
    return tool.main


@pytest.mark.parametrize(
    ("dataset", "detector"), [("demo", None), ("bccd", "fpn"), ("bccd", "retinanet")]
)
def test_steps_in_order(tool, dataset, detector):
    """Each reads what one before it wrote; the random architecture's steps likewise."""
    random_file = Path("random.json")
    steps = tool.steps_of(dataset, detector, random_file)
    assert [s.name for s in steps] == ORDER
    assert [s.kind for s in steps] == [
        {"step3": "search", "step5": "test"}.get(name[:5], "train") for name in ORDER
    ]
    written = {str(random_file)}
    for step in steps:
        cfg = load_config(str(step.config), step.overrides)
        needed = [cfg.train.init_checkpoint]
        bottom = cfg.model.backbone.get("bottom_up", cfg.model.backbone)
        needed.append(bottom.get("architecture"))
        assert {x for x in needed if x} <= written, step.name
        if step.name.endswith("_random"):
            assert bottom.architecture == str(random_file)
            assert cfg.train.output_dir.endswith("_random")
        written.add(step.writes)
    folders = [s.folder for s in steps]
    assert len(set(folders)) == len(folders)


def test_an_unknown_step_is_named(tool):
    with pytest.raises(ConfigError, match=r"no config configs/demo/step9\.py"):
        tool.config_file("demo", "step9", None)


def test_all_steps_once(whole, tmp_path, capsys):
    whole("demo", None)
    done = [c.split()[2].rpartition("/")[2].removesuffix(".py") for c in calls(tmp_path)]
    assert done == [name.removesuffix("_random") for name in ORDER]
    first = capsys.readouterr().out
    assert "[1/9] step1_supernet: " in first and "the table" in first
    assert "output/demo/report/index.html" in first
    assert "eta: 0:00:01  iter: 5" in first  # progress is shown, the rest is in the file
    assert "for the console file only" not in first
    console = tmp_path / "output/demo/step1_supernet/console.txt"
    assert "for the console file only" in console.read_text()
    summary = json.loads((tmp_path / "output/demo/summary.json").read_text())
    assert list(summary["seconds"]) == ORDER

    (tmp_path / "fail").write_text("step5_test.py")
    done_file = tmp_path / "output/demo/step5_test/done.json"
    before = done_file.read_text()
    done_file.unlink()
    with pytest.raises(StepError):
        whole("demo", None)
    (tmp_path / "fail").unlink()
    whole("demo", None)
    assert "times added up over starts: step5_test 2\n" in capsys.readouterr().out
    changed = json.loads((tmp_path / "output/demo/summary.json").read_text())
    assert changed["starts"] == {"step5_test": 2}
    done_file.write_text(before)
    (tmp_path / "calls.txt").unlink()

    whole("demo", None)
    assert not calls(tmp_path)
    assert "9 of 9 steps were done before" in capsys.readouterr().out
    again = json.loads((tmp_path / "output/demo/summary.json").read_text())
    assert again["seconds"] == pytest.approx(summary["seconds"], abs=0.06)  # as first measured


def test_the_random_architecture(tool, tmp_path):
    """Under the search's limit, and always the same one."""
    config = ROOT / "configs/demo/step3_search.py"
    files = [tmp_path / "a/random.json", tmp_path / "b/random.json"]
    space = [tool.write_random(config, f) for f in files][0]
    assert files[0].read_bytes() == files[1].read_bytes()
    architecture = Architecture.parse(str(files[0]), space)
    search = load_config(str(config)).search
    cost = CostTable(space, tuple(search.input_size))
    assert cost.flops(architecture) <= search.flops_limit < np.inf
