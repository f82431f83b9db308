"""Batch-norm statistics of one path: true averages, and nothing left behind."""

from __future__ import annotations

import copy
import random
from contextlib import nullcontext

import numpy as np
import pytest
import tiny
import torch
from detectron2.config import instantiate
from detectron2.layers import CycleBatchNormList
from detectron2.utils.events import EventStorage, get_event_storage
from fvcore.nn.precise_bn import update_bn_stats
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from detnas_d2.data import seeded
from detnas_d2.evaluation import calibrated
from detnas_d2.modeling import find_supernet
from detnas_d2.modeling.errors import ModelError

PATH = tiny.ARCHITECTURE


class Trouble(Exception):
    pass


def prepared():
    """A model with statistics, modes, hooks and momentum of its own."""
    torch.manual_seed(0)
    model = instantiate(tiny.classifier("unused").model)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.num_batches_tracked.fill_(random.randrange(100))
    model.backbone.set_path(PATH)
    model.train()
    model.dropout.eval()
    model.backbone.stem.norm.momentum = 0.03
    model.backbone.stem.norm.register_forward_pre_hook(lambda module, x: None)
    return model


def batches(count=3, size=4):
    mapper = tiny.NoiseMapper(augment=False)
    images = [mapper(r) for r in tiny.records("train", count * size)]
    return [images[i * size : (i + 1) * size] for i in range(count)]


def statistics(model):
    return {
        name: (module.running_mean.clone(), module.running_var.clone())
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm)
    }


def everything(model):
    """All that a calibration may not change."""
    return {
        "state": {k: v.clone() for k, v in model.state_dict().items()},
        "ids": [id(t) for t in model.state_dict(keep_vars=True).values()],
        "modes": [m.training for m in model.modules()],
        "momentum": [m.momentum for m in model.modules() if isinstance(m, _BatchNorm)],
        "hooks": [
            (list(m._forward_pre_hooks.values()), list(m._forward_hooks.values()))
            for m in model.modules()
        ],
        "grads": [p.grad is None for p in model.parameters()],
        "rng": (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()),
    }


@pytest.mark.parametrize("fails", [False, True])
def test_off_the_path_nothing_moves_and_all_is_restored(fails):
    """Inside it is in eval mode; the global generators and a training's metrics are as before."""
    model = prepared()
    before, former = everything(model), statistics(model)
    inactive = {id(n) for block in model.backbone.inactive_blocks() for n in block.modules()}
    trouble = pytest.raises(Trouble) if fails else nullcontext()
    with EventStorage(5) as storage, trouble, calibrated(model, batches(), seed=0):
        assert not any(m.training for m in model.modules())
        for name, module in model.named_modules():
            if isinstance(module, _BatchNorm):
                moved = not torch.equal(module.running_mean, former[name][0])
                assert moved == (id(module) not in inactive), name
        assert tiny.same(everything(model)["rng"], before["rng"])
        assert get_event_storage() is storage
        if fails:
            raise Trouble
    assert tiny.same(everything(model), before) and not storage.histories()


@pytest.mark.parametrize("batch", [None, 0, 1])
def test_all_is_restored_after_an_error_in_the_forward(batch):
    """Or before it, where the supernet has no path."""
    model, data = prepared(), batches()
    if batch is None:
        model.backbone._path = None
    else:  # sizes that can't be stacked
        data[batch] = [{**data[batch][0], "image": torch.zeros(3, 9, 8)}, *data[batch][1:]]
    before = everything(model)
    with (
        pytest.raises((ValueError, RuntimeError), match="all of one size|no path"),
        calibrated(model, data, seed=0),
    ):
        pytest.fail("unreached")
    assert tiny.same(everything(model), before)


def test_without_batches():
    with pytest.raises(ValueError, match="at least one batch"), calibrated(prepared(), [], seed=0):
        pass


@pytest.mark.parametrize(
    ("kind", "head_norm", "behind", "expected"),
    [
        ("classifier", None, "fc", 1),
        ("detector", None, "roi_heads.box_predictor", 1),
        # a head on five levels, without norm; with it, only what follows on the last level is left
        ("retinanet", "", "head.bbox_pred", 5),
        ("retinanet", "BN", "head.bbox_pred", 5 + 4 + 4),
    ],
)
def test_a_forward_ends_with_its_last_norm(kind, head_norm, behind, expected, bccd_images):
    """But for the first; the statistics are, bit for bit, those of whole forwards."""
    cfg = getattr(tiny, kind)("unused")
    if head_norm is not None:
        cfg.model.head.norm = head_norm
    model, whole, data = path_and_whole(cfg, count=3)
    with EventStorage():
        update_bn_stats(whole, seeding(data), len(data))
    runs = []
    model.get_submodule(behind).register_forward_hook(lambda *_: runs.append(1))
    with calibrated(model, data, seed=0):
        assert tiny.same(statistics(model), statistics(whole))
    assert len(runs) == expected


def path_and_whole(cfg, count):
    """A supernet on a path, one in the mode in which fvcore collects the same, and batches."""
    torch.manual_seed(0)
    model = instantiate(cfg.model)
    find_supernet(model).set_path(PATH)
    loader = iter(instantiate(cfg.dataloader.calibration))
    whole = copy.deepcopy(model).train()
    for block in find_supernet(whole).inactive_blocks():
        block.eval()
    return model, whole, [next(loader) for _ in range(count)]


def seeding(data):
    for i, batch in enumerate(data):
        with seeded(0, i):
            yield batch


def test_norms_without_running_statistics_are_left_alone():
    model = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.BatchNorm2d(3))
    with calibrated(model, [torch.randn(2, 3, 4, 5)], seed=0):
        assert model[1].running_mean.any()
    assert model[0].running_mean is None and model[0].momentum != 1.0
    assert model[0].num_batches_tracked is None


def test_a_retinanets_own_state_is_restored(bccd_images):
    """Also after an exception among the levels; in mixed precision its statistics are fvcore's."""
    model, whole, data = path_and_whole(tiny.retinanet("unused"), count=2)
    cycled = [m for m in model.modules() if isinstance(m, CycleBatchNormList)]
    with EventStorage(), torch.autocast("cpu"):
        update_bn_stats(whole, seeding(data), len(data))
    with torch.autocast("cpu"), calibrated(model, data, seed=0):
        assert tiny.same(statistics(model), statistics(whole))
    assert cycled and not hasattr(model, "loss_normalizer")
    model.loss_normalizer = 7.5
    runs = []

    def fail_at_the_third(*_):
        runs.append(1)
        if len(runs) == 3:
            raise Trouble

    model.head.cls_score.register_forward_pre_hook(fail_at_the_third)
    with pytest.raises(Trouble), calibrated(model, data, seed=0):
        pytest.fail("unreached")
    assert model.loss_normalizer == 7.5 and {m._pos for m in cycled} == {0}


class Branches(nn.Module):
    """The number of images says which norms run: 1: none, 2: the first, 3: both, 4: it twice."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(2))
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, batch):
        x = batch
        for i in ((), (0,), (0, 1), (0, 0), (1,))[len(batch) - 1]:
            x = self.norms[i](x)
        return self.conv(x)


@pytest.mark.parametrize("sizes", [(2, 3, 2, 3, 5), (1, 3, 2, 5)])
def test_norms_that_only_some_forwards_run(sizes):
    """As fvcore has it, and the population's by hand; a batch counts by its size."""
    torch.manual_seed(0)
    data = [torch.randn(n, 3, 4, 5) for n in sizes]
    model, expected = Branches(), Branches().train()
    update_bn_stats(expected, data, len(data))
    with calibrated(model, data, seed=0):
        assert tiny.same(statistics(model), statistics(expected))
        its = torch.cat([x for x in data if len(x) in (2, 3)]).transpose(0, 1).flatten(1).double()
        norm = model.norms[0]
        np.testing.assert_allclose(norm.running_mean, its.mean(1), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(norm.running_var, its.var(1, correction=0), rtol=1e-4)


def test_a_norm_that_runs_twice_in_a_forward_is_refused():
    model = Branches()
    before = everything(model)
    refused = pytest.raises(ModelError, match="runs twice in one forward")
    with refused, calibrated(model, [torch.zeros(4, 3, 4, 5)], seed=0):
        pass
    assert tiny.same(everything(model), before)
