"""Two processes on a CPU (gloo): the same path and weights, and figures of all images."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch
import two_processes

from detnas_d2.evaluation.fast_coco import RESULTS_FILE
from detnas_d2.space import UniformPathSampler


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each rank of a world of two and of one saw: [[rank 0, rank 1], [rank 0]]."""
    folder = tmp_path_factory.mktemp("processes")
    path = f"{tiny.ROOT}:{Path(tiny.__file__).parent}"
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", two_processes.__file__, str(folder), "2"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    two_processes.work(str(folder))
    two, one = (
        [torch.load(folder / f"of{n}_rank{r}.pth", weights_only=False) for r in range(n)]
        for n in (2, 1)
    )
    return folder, two, one[0]


def test_all_ranks_take_the_same_path(results):
    _, two, one = results
    sampler = UniformPathSampler(tiny.SPACE, 3)
    expected = [sampler(i).choices for i in range(9)]
    assert two[0]["paths"] == two[1]["paths"] == one["paths"] == expected


def test_all_ranks_have_the_same_weights(results):
    _, two, one = results
    assert tiny.same(two[0]["weights"], two[1]["weights"])
    for name, tensor in one["weights"].items():  # the trajectory of the whole batch on one process
        # naiveSyncBN neither counts batches nor takes Bessel's correction
        if not name.endswith(("num_batches_tracked", "running_var")):
            torch.testing.assert_close(two[0]["weights"][name], tensor, rtol=1e-3, atol=1e-3)


def test_resumed_on_two_processes(results):
    folder, two, _ = results
    for rank in two:
        assert tiny.same(rank["resumed"], rank["weights"])
    for whole, resumed in (("supernet", "resumed"), ("plain", "plain_resumed")):
        whole, resumed = folder / "of2" / whole, folder / "of2" / resumed
        assert tiny.same(tiny.state(resumed), tiny.state(whole))
        assert tiny.metrics(resumed) == tiny.metrics(whole)
    assert sum("bbox/AP" in line for line in tiny.metrics(whole)) > 3


def test_a_signal_to_one_rank_stops_all_after_the_same_iteration(results):
    _, two, _ = results
    # agreed on every 20 iterations
    assert [rank["stopped"] for rank in two] == [(128 + 15, 39, "model_0000039.pth")] * 2


def test_accuracy_is_gathered(results):
    _, two, one = results
    assert two[0]["accuracy"] == one["accuracy"]
    assert two[1]["accuracy"] == {}


def test_box_ap_is_gathered(results):
    folder, two, one = results
    assert two[0]["box_ap"] == one["box_ap"]
    assert 10 < two[0]["box_ap"]["bbox"]["AP"] < 90
    assert two[1]["box_ap"] == {}
    written = [json.loads((folder / d / RESULTS_FILE).read_text()) for d in ("of2", "of1")]
    assert [r["image_id"] for r in written[1]] == list(range(8))
    assert sorted(written[0], key=lambda r: r["image_id"]) == written[1]
