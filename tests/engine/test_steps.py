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
from detnas_d2.engine import steps as module
from detnas_d2.engine.step_time import StepTime, earlier_starts
from detnas_d2.engine.steps import Step, StepError, run_steps

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
    test = step(root, "step5_test", "test")
    assert set(test.reads) == {"output/demo/step4_detection/model_final.pth", third.writes}
    assert test.writes == "output/demo/step5_test/evaluation.json"
    begins = ("search.initial=[a.json,'0,0,0']", "search.initial_ledger=output/b/ledger.jsonl")
    warm = step(root, "step3_search", "search", *begins)
    assert warm.reads == [second.writes, "a.json", "output/b/ledger.jsonl"]


def test_commands(root):
    script, config = str(root / "train_net.py"), str(DEMO / "step5_test.py")
    test = Step("x", "test", DEMO / "step5_test.py", root, ("train.seed=1",), gpus=8)
    assert test.command[1:] == [
        *(script, "--config-file", config, "--eval-only", "--num-gpus", "8", "train.seed=1")
    ]
    search = Step("x", "search", DEMO / "step3_search.py", root, gpus=8)
    assert search.command[1] == str(root / "search_net.py")
    assert search.command[-1] == "--resume"  # a search has no --num-gpus


def test_for_another_architecture(root):
    """Both files of its own are read, and the folder is its own."""
    other = step(root, "step4_detection").for_architecture("a.json", "x1", "train.seed=4")
    assert other.name == "step4_detection_x1"
    assert other.reads == ["output/demo/step4_classification_x1/model_final.pth", "a.json"]
    assert other.writes == "output/demo/step4_detection_x1/model_final.pth"
    assert other.cfg.train.seed == 4
    assert other.cfg.model.backbone.bottom_up.architecture == "a.json"


@pytest.mark.parametrize("jobs", [1, 3])
def test_each_after_what_it_reads(root, jobs):
    """Whatever order they are given in, and however many could run at once."""
    seconds = run_steps(list(reversed(chain(root))), jobs=jobs)
    assert [c.split()[2].rpartition("/")[2] for c in calls(root)] == [
        *("step1_supernet.py", "step2_supernet.py", "step3_search.py")
    ]
    assert set(seconds) == {"step1_supernet", "step2_supernet", "step3_search"}


def test_jobs_run_at_the_same_time(root):
    """Both would wait for ever on one another if they did not."""
    (root / "train_net.py").write_text(
        "import pathlib, sys, time\n"
        "me = sys.argv[-1].rpartition('=')[2]; other = 'ab'.replace(me, '')\n"
        "pathlib.Path(me).touch()\n"
        "end = time.monotonic() + 30\n"
        "while not pathlib.Path(other).exists() and time.monotonic() < end: time.sleep(0.02)\n"
        "sys.exit(not pathlib.Path(other).exists())\n"
    )
    both = [
        Step(x, "train", DEMO / "step1_supernet.py", root, (f"train.output_dir={x}",)) for x in "ab"
    ]
    for s in both:  # the folders are called a and b, so the flags are looked for elsewhere
        assert s.folder == root / s.name
    (root / "train_net.py").write_text(
        (root / "train_net.py").read_text().replace("pathlib.Path(", "pathlib.Path('flag_' + ")
    )
    assert set(run_steps(both, jobs=2)) == {"a", "b"}


def test_threads_are_shared(root, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (root / "train_net.py").write_text(
        "import os; print(os.environ.get('OMP_NUM_THREADS'), file=open('threads', 'a'))"
    )
    one = chain(root)[:1]
    run_steps(one, jobs=1)
    (one[0].folder / "done.json").unlink()
    run_steps(one, jobs=2)
    assert (root / "threads").read_text().split() == ["None", "3"]


def test_done_once(root):
    lines: list[str] = []
    first = run_steps(chain(root), lines.append)
    assert any(line.startswith("[3/3] step3_search: ") for line in lines)
    assert "    eta: 0:00:01  iter: 5" in lines  # progress is shown, the rest is in the file
    assert not any("for the console file only" in line for line in lines)
    console = root / "output/demo/step1_supernet/console.txt"
    assert "for the console file only" in console.read_text()
    lines.clear()
    assert run_steps(chain(root), lines.append) == first
    assert lines == ["3 of 3 steps were done before"]
    assert len(calls(root)) == 3


def test_time_left(root):
    """The mean of those with the same config, else what is expected; others are counted."""
    a, b = (step(root, "step1_supernet", "train", f"train.seed={i}") for i in range(2))
    a, b = (Step(n, s.kind, s.config, root) for n, s in (("a", a), ("b", b)))
    steps = [a, b, step(root, "step2_supernet")]
    text = module._time_left(steps, {"a": 120.0}, 1, {})
    assert text == "; about 2 min left and 1 step of unknown length to come"
    expected = {"b": 9e9, "step2_supernet": 600.0}
    assert module._time_left(steps, {"a": 120.0}, 1, expected) == "; about 12 min left"
    assert module._time_left(steps, {}, 1, {}) == "; 3 steps of unknown length to come"
    assert module._time_left(steps[:2], {"a": 120.0}, 2, {}) == "; about 1 min left"
    assert module._time_left(steps[:2], {"a": 29.0}, 1, {}) == "; less than a minute left"
    assert module._time_left(steps[:1], {"a": 120.0}, 2, {}) == ""


def test_the_time_is_of_all_starts(root, monkeypatch):
    """Also of one that ended without a word, by what was written meanwhile."""
    monkeypatch.setattr("detnas_d2.engine.step_time.PERIOD", 0.1)
    script = root / "train_net.py"
    script.write_text("import time, sys; time.sleep(0.6); sys.exit(3)")
    one = step(root, "step1_supernet")
    with pytest.raises(StepError):
        run_steps([one])
    (first,) = earlier_starts(one.folder)
    assert first >= 0.6

    with monkeypatch.context() as patch:  # kill -9: nothing is written at the end
        keep = StepTime.keep
        patch.setattr(StepTime, "keep", lambda self, at_once=False: at_once or keep(self))
        with pytest.raises(StepError):
            run_steps([one])
    earlier = earlier_starts(one.folder)
    assert earlier[0] == first and len(earlier) == 2 and earlier[1] >= 0.3

    write_fake_scripts(root)
    lines: list[str] = []
    took = run_steps([one], lines.append)["step1_supernet"]
    assert took > sum(earlier) and run_steps([one])["step1_supernet"] == took
    assert " in 3 starts" in lines[-1] and one.starts == 3
    assert not earlier_starts(one.folder)


def test_a_failing_step_stops_and_is_gone_on_with(root):
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
    run_steps(chain(root))
    assert len(calls(root)) == 2 + 2  # the one that failed again, and the one after it


def test_a_failure_stops_the_steps_beside_it(root):
    """Nothing goes on unseen in a folder that the next run takes up."""
    (root / "wait").write_text("output_dir=slow")
    (root / "train_net.py").write_text(
        "import pathlib, sys, time\n"
        "end = time.monotonic() + 30\n"
        "while 'bad' in sys.argv[-1] and not pathlib.Path('waiting.txt').exists():\n"
        "    assert time.monotonic() < end; time.sleep(0.02)\n"
        "if 'bad' in sys.argv[-1]: sys.exit(3)\n" + (root / "train_net.py").read_text()
    )
    slow, bad = (
        Step(n, "train", DEMO / "step1_supernet.py", root, (f"train.output_dir={n}",))
        for n in ("slow", "bad")
    )
    start = time.monotonic()
    with pytest.raises(StepError, match="bad ended with status 3"):
        run_steps([slow, bad], jobs=2)
    assert time.monotonic() - start < 30
    pid = int((root / "waiting.txt").read_text())
    assert not Path(f"/proc/{pid}").exists()


def test_results_of_another_config_are_refused(root):
    run_steps([step(root, "step1_supernet")])
    other = step(root, "step1_supernet", "train", "train.max_iter=7")
    with pytest.raises(ConfigError, match="holds the results of another config of step1_supernet"):
        run_steps([other])
    LazyConfig.save(step(root, "step1_supernet").cfg, str(other.folder / "config.yaml"))
    was = step(root, "step1_supernet").cfg.train.max_iter
    with pytest.raises(ConfigError, match=rf": train.max_iter \(was {was}, is 7\)\. Remove"):
        run_steps([other])
    assert len(calls(root)) == 1
    # what changes no result changes nothing here either
    run_steps([step(root, "step1_supernet", "train", "dataloader.train.num_workers=2")])
    assert len(calls(root)) == 1


def test_a_kill_before_the_end_runs_the_step_again(root, monkeypatch):
    """done.json is written last, and whole or not at all."""

    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            run_steps([step(root, "step1_supernet")])
    assert not (root / "output/demo/step1_supernet/done.json").exists()
    run_steps([step(root, "step1_supernet")])
    assert len(calls(root)) == 2
    assert json.loads((root / "output/demo/step1_supernet/done.json").read_text())["seconds"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_ends_with_its_parent(root, number):
    """Else a step would go on in the folder that the next run takes up."""
    (root / "wait").write_text("step1_supernet.py")
    parent = (
        "import sys, signal, pathlib; from detnas_d2.engine.steps import Step, run_steps\n"
        "signal.signal(signal.SIGTERM, lambda *args: sys.exit(1))\n"
        f"config = pathlib.Path({str(DEMO / 'step1_supernet.py')!r})\n"
        f"run_steps([Step('a', 'train', config, pathlib.Path({str(root)!r}))])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    deadline = time.monotonic() + 60
    waiting = root / "waiting.txt"
    while not (waiting.exists() and waiting.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    process.wait(timeout=20)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{waiting.read_text()}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{waiting.read_text()}").exists()


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (StepError("x failed"), "script.py: x failed"),
        (KeyboardInterrupt(), 130),
    ],
)
def test_a_script_ends_with_one_message(raised, status):
    def main():
        raise raised

    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            module.run_script("script.py", main)
        assert end.value.code == status
        with pytest.raises(SystemExit) as end:
            module.run_script("script.py", lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert end.value.code == 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)
