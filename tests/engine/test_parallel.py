"""Two processes on a CPU (gloo) against one: paths, gradients, weights, figures, and who waits."""

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
    """What each rank of a world of two and of one saw: the folder, [rank 0, rank 1], rank 0."""
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
    assert tiny.same(two[0]["broadcast"], two[1]["broadcast"])
    assert tiny.same(two[0]["broadcast"], one["broadcast"])
    for run in ("weights", "fair"):
        assert tiny.same(two[0][run], two[1][run])
        for name, tensor in one[run].items():  # the trajectory of the whole batch on one process
            # naiveSyncBN neither counts batches nor takes Bessel's correction
            if not name.endswith(("num_batches_tracked", "running_var")):
                torch.testing.assert_close(two[0][run][name], tensor, rtol=1e-3, atol=1e-3)


def test_resumed_on_two_processes(results):
    folder, two, _ = results
    for rank in two:
        assert tiny.same(rank["resumed"], rank["weights"])
        assert tiny.same(rank["fair_resumed"], rank["fair"])
    for whole, resumed in (("supernet", "resumed"), ("plain", "plain_resumed")):
        whole, resumed = folder / "of2" / whole, folder / "of2" / resumed
        assert tiny.same(tiny.state(resumed), tiny.state(whole))
        assert tiny.metrics(resumed) == tiny.metrics(whole)
    assert sum("bbox/AP" in line for line in tiny.metrics(whole)) > 3


def test_a_signal_to_one_rank_stops_all_after_the_same_iteration(results):
    _, two, _ = results
    # agreed on every 20 iterations
    assert [rank["stopped"] for rank in two] == [(128 + 15, "model_0000019.pth")] * 2


def test_figures_are_of_all_images(results):
    folder, two, one = results
    for figures in ("accuracy", "box_ap"):
        assert two[0][figures] == one[figures] and two[1][figures] == {}
    assert 10 < one["box_ap"]["bbox"]["AP"] < 90
    written = [json.loads((folder / d / RESULTS_FILE).read_text()) for d in ("of2", "of1")]
    assert [r["image_id"] for r in written[1]] == list(range(8))
    assert sorted(written[0], key=lambda r: r["image_id"]) == written[1]


# gradients


def test_the_gradient_is_that_of_the_whole_batch(results):
    _, two, one = results
    found, expected = two[0]["step"], one["step"]
    assert tiny.same(found, two[1]["step"])
    used = [name for name, gradient in expected.items() if gradient is not None]
    assert 20 < len(used) < len(expected) - 20
    assert used == [name for name, gradient in found.items() if gradient is not None]
    for name in used:
        largest = float(expected[name].abs().max())
        assert largest > 0 or "bias" in name, name
        atol = 1e-4 * max(largest, 1e-3)
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=atol)


def test_only_the_gradients_of_the_path_travel_while_backward_goes_on(results):
    """Each bucket is sent before the next one's gradients are there, but for the last."""
    _, two, one = results
    running = two_processes.running_parameters(two_processes.detector())
    sent = two[0]["sent"]
    assert two[1]["sent"] == sent and one["sent"] == []
    # and a number for each, which tells whether it is there
    assert sum(size for size, _ in sent) == 4 * sum(p.numel() + 1 for p in running)
    missing = [number for _, number in sent]
    assert len(sent) > 3 and missing[-1] == 0
    assert missing == sorted(missing, reverse=True) and missing[-2] > 0
    assert missing[0] > 0.7 * len(running)


def test_nothing_of_ours_makes_the_host_wait(results):
    _, two, one = results
    for rank in (*two, one):
        syncs = rank["syncs"]
        assert syncs["detectron2.engine.train_loop"] > 0  # Detectron2 logs the losses of each step
        assert not [module for module in syncs if module.startswith("detnas_d2")]
    # what docs/faq.md says of a rank's two images
    assert 55 < sum(n for m, n in two[0]["syncs"].items() if m != "detectron2.utils.comm") < 85


def test_a_gradient_that_is_missing_counts_as_zero(results):
    _, two, one = results
    # only a process that lacks a gradient asks the device whether another one has it
    for rank, lacks in zip(two, (2, 1), strict=True):
        (everywhere, last, nowhere, frozen), syncs = rank["partial"]
        assert everywhere.tolist() == [1.5, 1.5]  # the mean of 1 and 2
        assert last.tolist() == [3, 3]  # of 0 and 6
        assert nowhere is None and frozen is None
        assert syncs == lacks
    gradients, syncs = one["partial"]
    assert [g if g is None else g.tolist() for g in gradients] == [[1, 1], [6, 6], None, None]
    assert syncs == 0


def test_of_several_passes_gradients_are_means_over_passes_and_processes(results):
    _, two, one = results
    # 1 and 2 times (1 and 2); in the second pass alone 0 and 8
    assert two[0]["passes"] == two[1]["passes"] == [[2.25, 2.25], [2.0, 2.0]]
    assert one["passes"] == [[1.5, 1.5], [4.0, 4.0]]


def test_a_head_that_sees_no_object_does_not_disturb_the_norms(results):
    """It sends its bucket after backward, the other process before the norms' own sums."""
    _, two, _ = results
    assert tiny.same(two[0]["late"], two[1]["late"])
    assert all(float(g.abs().max()) > 0 for g in two[0]["late"])
