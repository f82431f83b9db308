"""Steps as calls of the scripts (fakes here): order, what is done once, failures, kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from detectron2.config import LazyConfig
from fake_scripts import calls, write_fake_scripts

from detnas_d2.engine import ConfigError
from detnas_d2.steps import Step, StepError, run_steps

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "configs" / "demo"


@pytest.fixture
def root(tmp_path) -> Path:
    write_fake_scripts(tmp_path)
    return tmp_path


def step(root: Path, name: str, kind: str = "train", *overrides: str) -> Step:
    return Step(name, kind, DEMO / f"{name}.py", root, overrides)


def chain(root: Path) -> list[Step]:
    kinds = ("train", "train", "search")
    names = ("step1_supernet", "step2_supernet", "step3_search")
    return [step(root, name, kind) for name, kind in zip(names, kinds, strict=True)]


def test_what_a_step_reads_and_writes(root):
    first, second, third = chain(root)
    assert (first.reads, first.writes) == ([], "output/demo/step1_supernet/model_final.pth")
    assert second.reads == [first.writes] and third.reads == [second.writes]
    begins = ("search.initial=[a.json,'0,0,0']", "search.initial_ledger=output/b/ledger.jsonl")
    warm = step(root, "step3_search", "search", *begins)
    assert warm.reads == [second.writes, "a.json", "output/b/ledger.jsonl"]


def test_commands_and_another_architecture(root):
    config = DEMO / "step4_detection.py"
    options = ["--config-file", str(config), "--eval-only", "--num-gpus", "8", "train.seed=1"]
    test = Step("x", "test", config, root, ("train.seed=1",), gpus=8)
    assert test.command[1:] == [str(root / "train_net.py"), *options]
    search = Step("x", "search", DEMO / "step3_search.py", root, gpus=8)
    assert search.command[1] == str(root / "search_net.py")
    assert search.command[-1] == "--resume"  # a search has no --num-gpus

    # both files of its own are read, and the folder is its own
    other = step(root, "step4_detection").for_architecture("a.json", "x1", "train.seed=4")
    assert other.name == "step4_detection_x1"
    assert other.reads == ["output/demo/step4_classification_x1/model_final.pth", "a.json"]
    assert other.writes == "output/demo/step4_detection_x1/model_final.pth"
    assert other.cfg.train.seed == 4
    assert other.cfg.model.backbone.bottom_up.architecture == "a.json"


@pytest.mark.parametrize("jobs", [1, 3])
def test_once_each_after_what_it_reads(root, jobs, capsys):
    """Whatever order they are given in, and however many could run at once."""
    seconds = run_steps(list(reversed(chain(root))), jobs=jobs)
    lines = capsys.readouterr().out.splitlines()
    names = ["step1_supernet", "step2_supernet", "step3_search"]
    assert [Path(c.split()[2]).stem for c in calls(root)] == names == list(seconds)
    assert any(line.startswith("[3/3] step3_search: ") for line in lines)
    # progress is shown, the rest is in the file
    assert ("    eta: 0:00:01  iter: 5" in lines) == (jobs == 1)
    assert not any("for the console file only" in line for line in lines)
    console = root / "output/demo/step1_supernet/console.txt"
    assert "for the console file only" in console.read_text()
    assert run_steps(chain(root)) == seconds and len(calls(root)) == 3
    assert capsys.readouterr().out == "3 of 3 steps were done before\n"


def test_jobs_share_the_threads_and_run_at_the_same_time(root, monkeypatch):
    """Both would wait for one another in vain if they did not."""
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    (root / "train_net.py").write_text(
        "import os, pathlib, sys, time\n"
        "me = sys.argv[-1].rpartition('=')[2]; other = 'ab'.replace(me, '')\n"
        "pathlib.Path('flag_' + me).write_text(os.environ['OMP_NUM_THREADS'])\n"
        "end = time.monotonic() + 30\n"
        "while not pathlib.Path('flag_' + other).exists() and time.monotonic() < end:\n"
        "    time.sleep(0.02)\n"
        "sys.exit(not pathlib.Path('flag_' + other).exists())\n"
    )
    config = DEMO / "step1_supernet.py"
    both = [Step(x, "train", config, root, (f"train.output_dir={x}",)) for x in "ab"]
    assert set(run_steps(both, jobs=2)) == {"a", "b"}
    assert [(root / f"flag_{x}").read_text() for x in "ab"] == ["3", "3"]


def test_time_left(root, capsys):
    """The mean of those with the same config, else what is expected."""
    config = DEMO / "step1_supernet.py"
    same = [Step(x, "train", config, root, (f"train.output_dir={x}",)) for x in "ab"]
    steps = [*same, step(root, "step2_supernet"), step(root, "step4_detection", "test")]
    run_steps(steps, expected={"b": 9e9, "step2_supernet": 600.0})
    ended = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert [line.partition("; ")[2] for line in ended] == ["about 10 min left"] * 2 + [""] * 2


def test_a_failing_step_stops_and_is_gone_on_with(root, capsys):
    """Its time is that of all its starts."""
    (root / "fail").write_text("step2_supernet.py")
    with pytest.raises(StepError) as error:
        run_steps(chain(root))
    for part in (
        "step2_supernet ended with status 3",
        "output/demo/step2_supernet/console.txt",
        "a line for the console file only",
    ):
        assert part in str(error.value)
    assert len(calls(root)) == 2
    (root / "fail").unlink()
    second = step(root, "step2_supernet")
    (first,) = second.earlier_starts()
    assert first > 0
    assert run_steps(chain(root))["step2_supernet"] > first
    assert len(calls(root)) == 2 + 2  # the one that failed again, and the one after it
    assert " in 2 starts" in capsys.readouterr().out and second.starts == 2
    assert not second.earlier_starts()


def test_results_of_another_config_are_refused(root):
    run_steps([step(root, "step1_supernet")])
    other = step(root, "step1_supernet", "train", "train.max_iter=7")
    with pytest.raises(ConfigError, match="holds the results of another config of step1_supernet"):
        run_steps([other])
    LazyConfig.save(step(root, "step1_supernet").cfg, str(other.folder / "config.yaml"))
    was = step(root, "step1_supernet").cfg.train.max_iter
    with pytest.raises(ConfigError, match=rf": train.max_iter \(was {was}, is 7\)\. Remove"):
        run_steps([other])
    # what changes no result changes nothing here either
    run_steps([step(root, "step1_supernet", "train", "dataloader.train.num_workers=2")])
    assert len(calls(root)) == 1
    # of a test, whose folder is the training's
    run_steps([step(root, "step4_detection", "test")])
    with pytest.raises(ConfigError, match=r"Remove \S+/done_test\.json to run the step anew\.$"):
        run_steps([step(root, "step4_detection", "test", "train.seed=7")])


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
@pytest.mark.parametrize("how", ["failure", "kill"])
def test_what_runs_ends_with_the_others(root, monkeypatch, how):
    """Else a step would go on in the folder that the next run takes up, and count its time."""
    (root / "wait").write_text("output_dir=slow")
    if how == "failure":
        (root / "fail").write_text("output_dir=bad")
    program = (
        "import pathlib; from detnas_d2.steps import Step, run, run_steps; run.PERIOD = 0\n"
        f"config, root = pathlib.Path({str(DEMO / 'step1_supernet.py')!r}), pathlib.Path('.')\n"
        "run_steps([Step(n, 'train', config, root, (f'train.output_dir={n}',))"
        " for n in ('slow', 'bad')], jobs=2)"
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, stderr=subprocess.PIPE, text=True
    )
    waiting, starts = root / "waiting.txt", root / "slow/starts.json"
    deadline = time.monotonic() + 60
    while not (waiting.exists() and waiting.read_text() and starts.exists()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if how == "kill":
        process.send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=20)
    assert ("bad ended with status 3" in errors) == (how == "failure")
    while Path(f"/proc/{waiting.read_text()}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(json.loads(starts.read_text())) == 1
