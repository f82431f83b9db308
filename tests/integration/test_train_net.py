"""train_net.py itself: without arguments, what it writes, interruption, several processes."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from detnas_d2.engine.metrics import TIMES

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = "model.backbone.bottom_up.architecture"


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
    """Without arguments: the paper's main step, which says what is missing and writes nothing."""
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths}
    environment.pop("DETECTRON2_DATASETS", None)
    done = subprocess.run(
        [sys.executable, str(ROOT / script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
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


def test_retraining_and_test(workspace, searched):
    """Both forms of an architecture train the same network; then the test."""
    best = json.loads((workspace / "output/step3/best_architecture.json").read_text())
    numbers = ",".join(map(str, best["architecture"]))
    file = "output/step3/best_architecture.json"
    states = []
    for folder, architecture in (("numbers", numbers), ("from_file", file)):
        arguments = (f"{ARCHITECTURE}={architecture}", f"train.output_dir=output/{folder}")
        status, output = workspace.call("train_net.py", "step4", *arguments)
        assert status == 0, output
        weights = workspace / f"output/{folder}/model_final.pth"
        states.append(torch.load(weights, weights_only=True))
    assert states[0]["detnas"]["architecture"] == best["architecture"]
    assert states[0]["model"].keys() == states[1]["model"].keys()
    assert all(torch.equal(v, states[1]["model"][k]) for k, v in states[0]["model"].items())

    # a test is of what the config trained, whose own config.yaml stays untouched
    config = (workspace / "output/from_file/config.yaml").stat()
    status, output = workspace.call("train_net.py", "step4", "--eval-only", *arguments)
    assert status == 0, output
    assert (workspace / "output/from_file/config.yaml").stat().st_mtime_ns == config.st_mtime_ns
    evaluation = json.loads((workspace / "output/from_file/evaluation.json").read_text())
    assert {"bbox/AP", "bbox/AP50", "bbox/AP-one"} <= evaluation.keys()
    assert list((workspace / "output/from_file").glob("events.out.tfevents.*"))
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
    flags = ("--num-gpus", "2", "--dist-url", "auto", "train.max_iter=1000")
    process = workspace.start("train_net.py", "step2", *flags, output_dir)
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
