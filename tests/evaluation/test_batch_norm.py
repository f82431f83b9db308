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


def supernet(seed=0):
    torch.manual_seed(seed)
    model = instantiate(tiny.classifier("unused").model)
    fill(model)
    model.backbone.set_path(PATH)
    return model


def fill(model):
    """Statistics that no two norms share, as a trained supernet has."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.num_batches_tracked.fill_(random.randrange(100))


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


def test_a_first_layers_statistics_are_those_of_the_whole_population():
    """By hand; batches count by their size."""
    model, data = supernet(), batches()
    data = [data[0] + data[1], data[2]]
    with calibrated(model, data, seed=0):
        found = model.backbone.stem.norm
        mean, var = found.running_mean.numpy(), found.running_var.numpy()
    # the convolution of all images at once, its mean and (biased) variance by channel
    images = torch.stack([x["image"] for batch in data for x in batch]).double()
    weight = model.backbone.stem.conv.weight.detach().double()
    y = nn.functional.conv2d(images, weight, stride=2, padding=1).numpy()
    np.testing.assert_allclose(mean, y.mean(axis=(0, 2, 3)), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(var, y.var(axis=(0, 2, 3)), rtol=1e-3)


def test_inside_the_model_is_in_eval_mode_and_off_the_path_nothing_moves():
    model = supernet()
    before = statistics(model)
    inactive = {id(n) for block in model.backbone.inactive_blocks() for n in block.modules()}
    with calibrated(model, batches(), seed=0):
        assert not any(m.training for m in model.modules())
        for name, module in model.named_modules():
            if isinstance(module, _BatchNorm):
                moved = not torch.equal(module.running_mean, before[name][0])
                assert moved == (id(module) not in inactive), name
    assert tiny.same(statistics(model), before)


class Trouble(Exception):
    pass


def prepared():
    """A model with modes, hooks and momentum of its own."""
    model = supernet()
    model.train()
    model.dropout.eval()
    model.backbone.stem.norm.momentum = 0.03
    model.backbone.stem.norm.register_forward_pre_hook(lambda module, x: None)
    return model


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_restored(fails):
    """The global generators are as they were inside, too."""
    model, data = prepared(), batches()
    before = everything(model)
    with pytest.raises(Trouble) if fails else nullcontext(), calibrated(model, data, seed=0):
        assert tiny.same(everything(model)["rng"], before["rng"])
        if fails:
            raise Trouble
    assert tiny.same(everything(model), before)


@pytest.mark.parametrize("batch", [0, 1])
def test_everything_is_restored_after_an_exception_in_the_forward(batch):
    model, data = prepared(), batches()
    before = everything(model)
    data[batch] = copy.deepcopy(data[batch])
    data[batch][0]["image"] = data[batch][0]["image"][:, 1:]  # sizes that can't be stacked
    with pytest.raises(ValueError, match="all of one size"), calibrated(model, data, seed=0):
        pytest.fail("unreached")
    assert tiny.same(everything(model), before)
    with calibrated(model, batches(), seed=0):  # and works again
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


def test_without_a_path_or_without_batches():
    model = prepared()
    with pytest.raises(ValueError, match="at least one batch"), calibrated(model, [], seed=0):
        pass
    model.backbone.clear_path()
    before = everything(model)
    with pytest.raises(RuntimeError, match="no path"), calibrated(model, batches(), seed=0):
        pass
    assert tiny.same(everything(model), before)


def test_a_running_trainings_metrics_are_left_alone():
    model = supernet()
    with EventStorage(5) as storage:
        with calibrated(model, batches(), seed=0):
            assert get_event_storage() is storage
        assert get_event_storage() is storage
        assert not storage.histories()


def test_a_fixed_network_and_a_plain_one():
    fixed = instantiate(tiny.classifier("unused", PATH).model)
    before = statistics(fixed)
    with calibrated(fixed, batches(), seed=0):
        assert all(not torch.equal(statistics(fixed)[n][0], before[n][0]) for n in before)
    assert tiny.same(statistics(fixed), before)
    plain = nn.BatchNorm1d(2)
    with calibrated(plain, [torch.tensor([[0.0, 2.0], [4.0, 4.0]])], seed=0):
        assert plain.running_mean.tolist() == [2, 3] and plain.running_var.tolist() == [4, 1]


class LaterNorm(nn.Module):
    """A norm that only batches of more than two images run, behind a convolution; or no norm."""

    def __init__(self, first_norm):
        super().__init__()
        self.first = nn.BatchNorm2d(3) if first_norm else nn.Identity()
        self.conv, self.later = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, batch):
        x = self.conv(self.first(batch))
        return self.conv(self.later(x)) if len(batch) > 2 else x


@pytest.mark.parametrize("first_norm", [True, False])
def test_a_norm_that_only_later_forwards_run(first_norm):
    torch.manual_seed(0)
    model = LaterNorm(first_norm)
    expected = copy.deepcopy(model).train()
    data = [torch.randn(n, 3, 4, 5) for n in (2, 3, 2, 4, 3)]
    update_bn_stats(expected, data, len(data))
    with calibrated(model, data, seed=0):
        assert tiny.same(statistics(model), statistics(expected))


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
    """Two norms in turn: an image's first value says which of them runs; 2: the first one twice."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(2))

    def forward(self, batch):
        kind = int(batch[0, 0, 0, 0])
        x = self.norms[kind % 2](batch)
        return self.norms[0](x) if kind == 2 else x


def test_a_norm_that_only_some_forwards_run():
    torch.manual_seed(0)
    data = [torch.randn(n, 3, 4, 5) for n in (1, 2, 3, 2)]
    for x, kind in zip(data, (0, 1, 0, 1), strict=True):
        x[0, 0, 0, 0] = kind
    model, expected = Branches(), Branches().train()
    update_bn_stats(expected, data, len(data))
    with calibrated(model, data, seed=0):
        assert tiny.same(statistics(model), statistics(expected))
        for norm, its in zip(model.norms, (data[::2], data[1::2]), strict=True):
            population = torch.cat(its).double().transpose(0, 1).flatten(1)
            np.testing.assert_allclose(norm.running_mean, population.mean(1), rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(norm.running_var, population.var(1, correction=0), rtol=1e-4)


def test_a_norm_that_runs_twice_in_a_forward_is_refused():
    model, data = Branches(), [torch.full((1, 3, 4, 5), 2.0)]
    before = everything(model)
    with (
        pytest.raises(ModelError, match="runs twice in one forward"),
        calibrated(model, data, seed=0),
    ):
        pass
    assert tiny.same(everything(model), before)
