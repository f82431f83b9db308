"""tools/run_steps.py with fake scripts: the order of the steps, what is done once, what fails."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from detnas_d2.engine import ConfigError, load_config
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
# Stands in for train_net.py and search_net.py: notes its arguments, fails when told to.
SCRIPT = """
import pathlib, sys
with open("calls.txt", "a") as f:
    print(pathlib.Path(sys.argv[0]).name, *sys.argv[1:], file=f)
print("eta: 0:00:01  iter: 5")
print("a line for the console file only")
if pathlib.Path("fail").exists() and pathlib.Path("fail").read_text() in " ".join(sys.argv):
    sys.exit(3)
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The module, with its repository in a temporary folder that has fake scripts."""
    spec = importlib.util.spec_from_file_location("run_steps", ROOT / "tools" / "run_steps.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "run_steps", module)  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    for script in ("train_net.py", "search_net.py"):
        (tmp_path / script).write_text(SCRIPT)
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


def calls(folder: Path) -> list[str]:
    path = folder / "calls.txt"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(
    ("dataset", "detector"), [("demo", None), ("bccd", "fpn"), ("bccd", "retinanet")]
)
def test_steps_in_order(tool, dataset, detector):
    """Each reads what one before it wrote; the random architecture's steps likewise."""
    random_file = Path("random.json")
    steps = tool.steps_of(dataset, detector, random_file)
    assert [s.name for s in steps] == ORDER
    assert [s.script for s in steps] == [
        "search_net.py" if name == "step3_search" else "train_net.py" for name in ORDER
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
        file = "best_architecture.json" if step.script == "search_net.py" else "model_final.pth"
        written.add(f"{cfg.train.output_dir}/{file}")
        flag = "--eval-only" if "step5" in step.name else "--resume"
        assert step.command[2:5] == ["--config-file", str(step.config), flag]
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
    assert "eta: 0:00:01  iter: 5" in first  # progress is shown, the rest is in the file
    assert "for the console file only" not in first
    console = tmp_path / "output/demo/step1_supernet/console.txt"
    assert "for the console file only" in console.read_text()
    summary = json.loads((tmp_path / "output/demo/summary.json").read_text())
    assert list(summary["seconds"]) == ORDER

    whole("demo", None)
    assert len(calls(tmp_path)) == len(ORDER)
    assert "[9/9] step5_test_random: done before, in" in capsys.readouterr().out
    again = json.loads((tmp_path / "output/demo/summary.json").read_text())
    assert again["seconds"] == pytest.approx(summary["seconds"], abs=0.06)  # as first measured


def test_a_failing_step_stops_and_is_gone_on_with(tool, whole, tmp_path):
    (tmp_path / "fail").write_text("step3_search.py")
    with pytest.raises(tool.StepError) as error:
        whole("demo", None)
    for part in (
        "step3_search ended with status 3",
        "output/demo/step3_search/console.txt",
        "a line for the console file only",
    ):
        assert part in str(error.value)
    assert len(calls(tmp_path)) == 3
    (tmp_path / "fail").unlink()
    whole("demo", None)
    assert len(calls(tmp_path)) == 3 + 7  # the search again, and those after it


def test_results_of_another_config_are_refused(tool, tmp_path):
    step = tool.steps_of("demo", None, Path("random.json"))[0]
    tool.run(step, "1/9")
    other = tool.Step(step.name, step.script, step.config, ("train.max_iter=7",))
    with pytest.raises(ConfigError, match="holds the results of another config of step1_supernet"):
        tool.run(other, "1/9")
    assert len(calls(tmp_path)) == 1
    # what changes no result changes nothing here either
    more = tool.Step(step.name, step.script, step.config, ("dataloader.train.num_workers=2",))
    tool.run(more, "1/9")
    assert len(calls(tmp_path)) == 1


def test_a_kill_before_the_end_runs_the_step_again(tool, tmp_path, monkeypatch):
    """done.json is written last, and whole or not at all."""
    step = tool.steps_of("demo", None, Path("random.json"))[0]

    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tool.os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            tool.run(step, "1/9")
    assert not (tmp_path / "output/demo/step1_supernet/done.json").exists()
    tool.run(step, "1/9")
    assert len(calls(tmp_path)) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_ends_with_its_parent(tmp_path, number):
    """Else a step would go on in the folder that the next run takes up."""
    console = tmp_path / "console.txt"
    child = "import os, time; print(os.getpid(), flush=True); time.sleep(100)"
    parent = (
        f"import sys, pathlib; sys.path.insert(0, {str(ROOT / 'tools')!r}); import run_steps\n"
        "import signal; signal.signal(signal.SIGTERM, lambda *args: sys.exit(1))\n"
        "run_steps.PROGRESS = run_steps.re.compile('.')\n"
        f"run_steps.call([sys.executable, '-c', {child!r}], pathlib.Path({str(console)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.send_signal(number)
    process.wait(timeout=20)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_the_random_architecture(tool, tmp_path):
    """Under the search's limit, and always the same one."""
    config = ROOT / "configs/demo/step3_search.py"
    files = [tmp_path / "a/random.json", tmp_path / "b/random.json"]
    space = [tool.draw_random(config, f) for f in files][0]
    assert files[0].read_bytes() == files[1].read_bytes()
    architecture = Architecture.parse(str(files[0]), space)
    search = load_config(str(config)).search
    cost = CostTable(space, tuple(search.input_size))
    assert cost.flops(architecture) <= search.flops_limit < np.inf
