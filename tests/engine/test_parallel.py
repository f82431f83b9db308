"""Gradients that two processes (gloo) average during backward, and who waits for whom."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sync_norms
import tiny
import torch
import two_gradients
from detectron2.config import instantiate
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from detnas_d2.engine import load_config
from detnas_d2.engine.parallel import BUCKET_ELEMENTS, _parts
from detnas_d2.modeling import find_supernet

KINDS = ("classifier", "detector")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each rank of a world of two and of one saw: [rank 0, rank 1], rank 0."""
    folder = tmp_path_factory.mktemp("processes")
    path = f"{tiny.ROOT}:{Path(tiny.__file__).parent}"
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", two_gradients.__file__, str(folder), "2"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    two_gradients.work(str(folder))
    two, one = (
        [torch.load(folder / f"of{n}_rank{r}.pth", weights_only=False) for r in range(n)]
        for n in (2, 1)
    )
    return two, one[0]


def running_parameters(kind):
    model = getattr(two_gradients, kind)()
    find_supernet(model).set_path(tiny.ARCHITECTURE)
    idle = {id(p) for p in find_supernet(model).inactive_parameters()}
    return [p for p in model.parameters() if id(p) not in idle]


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_the_whole_batch(results, kind):
    two, one = results
    assert tiny.same(two[0][kind]["step"], two[1][kind]["step"])
    found, expected = two[0][kind]["step"], one[kind]["step"]
    used = [name for name, gradient in expected.items() if gradient is not None]
    assert 20 < len(used) < len(expected) - 20
    for name, gradient in expected.items():
        if gradient is None:
            assert found[name] is None, name
        else:
            largest = float(gradient.abs().max())
            assert largest > 0 or "bias" in name, name
            torch.testing.assert_close(
                found[name], gradient, rtol=1e-4, atol=1e-4 * max(largest, 1e-3)
            )


@pytest.mark.parametrize("kind", KINDS)
def test_sums_are_those_of_all_gradients_after_backward(results, kind):
    two, one = results
    for rank in (*two, one):
        assert tiny.same(rank[kind]["step"], rank[kind]["plain"])


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_gradients_of_the_path_travel(results, kind):
    """And a number for each, which tells whether it is there."""
    two, one = results
    running = running_parameters(kind)
    for rank in two:
        sent = sum(size for size, _ in rank[kind]["sent"])
        assert sent == 4 * sum(p.numel() + 1 for p in running)
    assert one[kind]["sent"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_distributed_data_parallel_sends_the_whole_supernet(results, kind):
    two, _ = results
    model = getattr(two_gradients, kind)()
    for rank in two:
        assert rank[kind]["ddp"] == 4 * sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_bucket_is_sent_while_backward_goes_on(results, kind):
    """Each one before the next one's gradients are there, so all but the last during backward."""
    two, _ = results
    sent = two[0][kind]["sent"]
    assert two[1][kind]["sent"] == sent
    missing = [number for _, number in sent]
    assert len(sent) > 3 and missing[-1] == 0
    assert missing == sorted(missing, reverse=True) and missing[-2] > 0
    assert missing[0] > 0.7 * len(running_parameters(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_ours_makes_the_host_wait(results, kind):
    two, one = results
    for rank in (*two, one):
        syncs = rank[kind]["syncs"]
        assert syncs["detectron2.engine.train_loop"] > 0  # Detectron2 logs the losses of each step
        assert not [module for module in syncs if module.startswith("detnas_d2")]
    if kind == "detector":  # what docs/faq.md says of a rank's two images
        syncs = two[0][kind]["syncs"]
        assert 55 < sum(n for m, n in syncs.items() if m != "detectron2.utils.comm") < 85


def test_a_gradient_that_is_missing_counts_as_zero(results):
    two, one = results
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


def test_a_head_that_sees_no_object_does_not_disturb_the_norms(results):
    """It sends its bucket after backward, the other process before the norms' own sums."""
    two, _ = results
    assert tiny.same(two[0]["late"], two[1]["late"])
    assert all(float(g.abs().max()) > 0 for g in two[0]["late"])


def test_a_gradient_that_comes_twice_is_refused(results):
    two, one = results
    assert all("use_reentrant=False" in rank["twice"] for rank in two)
    assert one["twice"] is None


def test_broadcast_gives_all_ranks_the_first_ones_weights_and_buffers(results):
    two, one = results
    assert tiny.same(two[0]["broadcast"], two[1]["broadcast"])
    assert tiny.same(two[0]["broadcast"], one["broadcast"])


def test_buckets_hold_all_tensors_in_order_and_one_type_each():
    tensors = [torch.empty(n, dtype=d) for n, d in ((3, torch.float32), (2, torch.float64))] * 2
    assert [[t.numel() for t in b] for b in _parts(tensors)] == [[3], [2], [3], [2]]
    large = [
        torch.empty(n, device="meta") for n in (BUCKET_ELEMENTS - 5, 5, 1, BUCKET_ELEMENTS + 1)
    ]
    buckets = list(_parts(large))
    assert [len(b) for b in buckets] == [2, 1, 1]
    assert all(a is b for a, b in zip(large, [t for b in buckets for t in b], strict=True))
    assert list(_parts([])) == []


# what the documentation says of the paper's own configs


@pytest.mark.parametrize(
    ("detector", "path", "supernet_bytes", "path_bytes", "norms", "fewest", "most"),
    [
        (
            *("fpn", "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2"),
            *(102_748_480, 82_914_176, 99, 81, 141),
        ),
        (
            *("retinanet", "2,3,1,1,3,2,1,3,3,1,1,1,3,3,2,0,3,3,3,3"),
            *(69_576_336, 50_510_864, 99, 69, 129),
        ),
    ],
)
def test_bytes_and_synchronising_norms_of_the_papers_models(
    detector, path, supernet_bytes, path_bytes, norms, fewest, most
):
    config = tiny.ROOT / f"configs/coco/step2_supernet_{detector}_300m.py"
    with torch.device("meta"):
        model = instantiate(load_config(str(config)).model)
    supernet = find_supernet(model)

    def idle(path):
        supernet.set_path(path)
        return {id(p) for p in supernet.inactive_parameters()}

    def norms_of(path):
        off = idle(path)
        found = [m for m in model.modules() if isinstance(m, _BatchNorm)]
        assert {type(m) for m in found} == {nn.SyncBatchNorm}
        return sum(id(m.weight) not in off for m in found)

    off = idle(path)
    assert supernet_bytes == 4 * sum(p.numel() for p in model.parameters())
    assert path_bytes == 4 * sum(p.numel() for p in model.parameters() if id(p) not in off)
    assert norms_of(path) == norms
    assert norms_of([0] * 20) == fewest  # a 3x3 block has three norms, or five with stride 2
    assert norms_of([3] * 20) == most  # an Xception block has three more


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize(("name", "syncs"), [("SyncBN", 3), ("naiveSyncBN", 0)])
def test_what_a_norm_costs_and_gives(results, name, syncs, equal):
    """SyncBN waits three times a forward, and is exact where images differ in size as well."""
    two, _ = results
    inputs = [sync_norms.images(r, equal).requires_grad_() for r in range(2)]
    mean, var = torch.zeros(3), torch.ones(3)
    pixels = torch.cat([x.transpose(0, 1).reshape(3, -1) for x in inputs], 1)[None]
    whole = F.batch_norm(pixels, mean, var, None, None, True, 0.1, 1e-5)
    whole.pow(3).sum().backward()
    at = inputs[0].numel() // 3
    parts = whole[0].split([at, pixels.shape[2] - at], 1)
    for rank, x, part in zip(two, inputs, parts, strict=True):
        found = rank["norms"][name, equal]
        assert (found["forward"], found["backward"]) == (syncs, 0)
        expected = part.reshape(3, 2, 4, -1).transpose(0, 1).detach()
        exact = name == "SyncBN" or equal
        for key, value in (("output", expected), ("gradient", x.grad), ("running_mean", mean)):
            close = torch.allclose(found[key], value, rtol=1e-3, atol=1e-4)
            assert close == exact, key
        if name == "SyncBN":
            torch.testing.assert_close(found["running_var"], var)
