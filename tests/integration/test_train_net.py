"""train_net.py itself: what it refuses, what it writes, interruption, several processes."""

from __future__ import annotations

import json
import math
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.multiprocessing import ProcessExitedException

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = "model.backbone.bottom_up.architecture"
TIMES = {"time", "data_time", "rank_data_time", "eta_seconds"}


def metrics(folder: Path) -> list[dict]:
    path = folder / "metrics.json"
    lines = path.read_text().splitlines() if path.exists() else []
    return [{k: v for k, v in json.loads(x).items() if k not in TIMES} for x in lines]


def wait_for(process: subprocess.Popen, condition) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("script", ["train_net.py", "search_net.py"])
def test_alone_without_coco(script, tmp_path):
    """Without arguments: the paper's main step, which says what is missing and builds nothing."""
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths}
    environment.pop("DETECTRON2_DATASETS", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, str(ROOT / script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 1
    for part in (
        str(tmp_path / "datasets/coco/train2017"),  # the folder, and what has to lie there
        "train2017.zip",
        "annotations_trainval2017.zip",
        "export DETECTRON2_DATASETS=",
        "model_final.pth' does not exist",  # all that is missing is said at once
    ):
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
    # CPU seconds: those by the clock depend on what else runs
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        ("step2", ["train.max_itr=3"], "Did you mean 'train.max_iter'"),
        ("step2", ["train.max_iter=many"], "expected a value of type int"),
        ("step22", [], "step22.py' does not exist. Did you mean configs/tiny/step2.py"),
        ("space", [], "The config lacks model, .*dataloader.train"),
        ("step2", ["dataloader.train.dataset.names=digits_trian"], "Did you mean digits_train"),
        ("step2", ["train.init_checkpoint=no.pth"], "'no.pth' does not exist"),
        ("step4", [f"{ARCHITECTURE}=0,1"], "got 2 choices, expected 5"),
        ("step4", [f"{ARCHITECTURE}=0,1,2,3,0"], "block 4 of 5.* has choice 3"),
        ("step4", [f"{ARCHITECTURE}=no.json"], "no.json"),
        ("step2", ["--num-gpus", "3"], "total_batch_size is 2, which 3 processes can't share"),
        ("step2", ["--eval-only"], "A supernet has no metric of its own"),
    ],
)
def test_refused(workspace, supernet, step, arguments, message):
    flags = [a for a in arguments if "=" not in a]
    overrides = [a for a in arguments if "=" in a]
    folder = workspace / "output/refused_training"
    output_dir = "train.output_dir=output/refused_training"
    if step == "space":  # it has no 'train'
        output_dir = f"+{output_dir}"
    status, output = workspace.call("train_net.py", step, *flags, output_dir, *overrides)
    assert isinstance(status, str) and status.startswith("train_net.py: ")
    assert re.search(message, status)
    assert not (folder / "model_final.pth").exists()
    if "--eval-only" not in arguments:
        assert not folder.exists()


def test_another_space_is_refused(workspace, supernet):
    status, _ = workspace.call(
        "train_net.py", "of_other_space", "train.output_dir=output/of_other_space"
    )
    assert "the weights are of the supernet of space 'tiny'" in status
    assert "the model is architecture 0,1,2,0 of space 'other'" in status


def test_retraining_and_test(workspace, searched):
    """Both forms of an architecture train; another one's checkpoint is refused; then the test."""
    best = json.loads((workspace / "output/step3/best_architecture.json").read_text())
    numbers = ",".join(map(str, best["architecture"]))
    file = "output/step3/best_architecture.json"
    for folder, architecture in (("from_file", file), ("numbers", numbers)):
        output_dir = f"train.output_dir=output/{folder}"
        status, output = workspace.call(
            "train_net.py", "step4", f"{ARCHITECTURE}={architecture}", output_dir
        )
        assert status == 0, output
    states = [
        torch.load(workspace / f"output/{f}/model_final.pth", weights_only=True)
        for f in ("from_file", "numbers")
    ]
    assert states[0]["detnas"]["architecture"] == best["architecture"]
    assert states[0]["model"].keys() == states[1]["model"].keys()
    assert all(torch.equal(v, states[1]["model"][k]) for k, v in states[0]["model"].items())

    other = ",".join(str((int(c) + 1) % 3) for c in numbers.split(","))
    checkpoint = "train.init_checkpoint=output/from_file/model_final.pth"
    status, _ = workspace.call(
        "train_net.py", "step4", f"{ARCHITECTURE}={other}", checkpoint, "train.output_dir=output/no"
    )
    assert f"the weights are of architecture {numbers} of space 'tiny'" in status
    assert f"the model is architecture {other}" in status

    # a test is of what the config trained, whose own config.yaml stays
    config = (workspace / "output/from_file/config.yaml").read_text()
    arguments = (f"{ARCHITECTURE}={file}", "train.output_dir=output/from_file")
    status, output = workspace.call("train_net.py", "step4", "--eval-only", *arguments)
    assert status == 0, output
    assert (workspace / "output/from_file/config.yaml").read_text() == config
    evaluation = json.loads((workspace / "output/from_file/evaluation.json").read_text())
    assert {"bbox/AP", "bbox/AP50", "bbox/AP-one"} <= evaluation.keys()
    # the last line of metrics.json holds the evaluation at the end of the training
    last = metrics(workspace / "output/from_file")[-1]
    assert evaluation["bbox/AP"] == last["bbox/AP"]


def test_sigterm_and_resume(workspace, supernet):
    """Stopped by SIGTERM and resumed: bit for bit the uninterrupted training."""
    long = ["train.max_iter=30", "train.output_dir=output/whole"]
    status, output = workspace.call("train_net.py", "step2", *long)
    assert status == 0, output

    long[1] = "train.output_dir=output/stopped"
    folder = workspace / "output/stopped"
    process = workspace.start("train_net.py", "step2", *long)
    wait_for(process, lambda: len(metrics(folder)) >= 3)
    process.terminate()
    text = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + signal.SIGTERM, text
    assert "go on with --resume" in text and "Traceback" not in text
    assert 3 <= len(metrics(folder)) < 30

    status, output = workspace.call("train_net.py", "step2", "--resume", *long)
    assert status == 0, output
    whole = workspace / "output/whole"
    assert metrics(folder) == metrics(whole) and len(metrics(folder)) == 30
    a, b = (torch.load(f / "model_final.pth", weights_only=True) for f in (folder, whole))
    assert all(torch.equal(v, b["model"][k]) for k, v in a["model"].items())
    moments = [x["trainer"]["optimizer"]["state"] for x in (a, b)]
    assert moments[0].keys() == moments[1].keys()
    for parameter, state in moments[0].items():
        assert all(torch.equal(v, moments[1][parameter][k]) for k, v in state.items())


def test_two_processes(workspace, supernet):
    """Two gloo processes train as one; SIGTERM to all of them; one process goes on alone."""
    folder = workspace / "output/two"
    output_dir = "train.output_dir=output/two"
    process = workspace.start(
        "train_net.py",
        "step2",
        "--num-gpus",
        "2",
        "--dist-url",
        "auto",
        "train.max_iter=1000",
        output_dir,
    )
    try:
        wait_for(process, lambda: len(metrics(folder)) >= 3)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 60  # the parent ends before its children
    while not (folder / "last_checkpoint").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (folder / "log.txt.rank1").exists()
    (checkpoint,) = folder.glob("model_*.pth")
    stopped = int(checkpoint.stem.rpartition("_")[2]) + 1
    assert stopped % 20 == 0  # agreed on
    lines = metrics(folder)
    assert [x["iteration"] for x in lines] == list(range(stopped))
    assert all(math.isfinite(x["total_loss"]) for x in lines)

    last = f"train.max_iter={stopped + 2}"
    status, output = workspace.call("train_net.py", "step2", "--resume", last, output_dir)
    assert status == 0, output
    assert [x["iteration"] for x in metrics(folder)] == list(range(stopped + 2))


def test_the_status_of_child_processes_is_passed_on(workspace, supernet, monkeypatch):
    """A child prints its error (as main does in this process: see above) and ends with 1."""

    def launch(*args, **kwargs):
        raise ProcessExitedException("process 1 terminated", 1, 1234, 77)

    monkeypatch.setattr("detectron2.engine.launch", launch)
    assert workspace.call("train_net.py", "step2", "--num-gpus", "2", "--resume")[0] == 77
