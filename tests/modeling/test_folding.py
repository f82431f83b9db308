"""Folded batch norms: the same outputs, and nothing left behind."""

from __future__ import annotations

import pytest
import tiny
import torch
from detectron2.config import instantiate
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from detnas_d2.modeling import find_supernet, folded


def model_of(kind):
    torch.manual_seed(0)
    model = instantiate(getattr(tiny, kind)("unused").model).eval()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    find_supernet(model).set_path(tiny.ARCHITECTURE)
    return model


def features(model):
    backbone = model.backbone
    x = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = backbone(x)
        if hasattr(model, "roi_heads"):
            regions = torch.randn(3, 8, 7, 7, generator=torch.Generator().manual_seed(2))
            found["box_head"] = model.roi_heads.box_head(regions)
        return found


def norm_runs(model):
    """How many batch norms run in a forward."""
    runs = []
    handles = [
        m.register_forward_hook(lambda *_: runs.append(1))
        for m in model.modules()
        if isinstance(m, _BatchNorm)
    ]
    features(model)
    for handle in handles:
        handle.remove()
    return len(runs)


@pytest.mark.parametrize("kind", ["classifier", "detector", "retinanet"])
def test_outputs_are_the_same_without_norms(kind, bccd_images):
    model = model_of(kind)
    expected = features(model)
    assert norm_runs(model) > 10
    before = {k: (id(v), v.clone()) for k, v in model.state_dict(keep_vars=True).items()}
    inactive = [m for x in find_supernet(model).inactive_blocks() for m in x.modules()]
    with folded(model):
        assert norm_runs(model) == 0
        assert not any(isinstance(m, nn.Identity) for m in inactive)
        found = features(model)
    with pytest.raises(ZeroDivisionError), folded(model):
        raise ZeroDivisionError
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4 * value.abs().max())
    after = model.state_dict(keep_vars=True)
    assert {k: id(v) for k, v in after.items()} == {k: i for k, (i, _) in before.items()}
    assert all(torch.equal(after[k], v) for k, (_, v) in before.items())
    assert tiny.same(features(model), expected)


def test_norms_in_training_mode_stay(bccd_images):
    """Their statistics are the batch's, which no weights can hold."""
    model = model_of("classifier")
    model.backbone.stem.train()
    with folded(model):
        assert isinstance(model.backbone.stem.norm, _BatchNorm)
