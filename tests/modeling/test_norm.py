"""Norm: the named layer with its momentum, wherever Detectron2 takes a norm."""

import pytest
import torch
from detectron2.layers import FrozenBatchNorm2d, NaiveSyncBatchNorm, get_norm
from torch import nn

from detnas_d2.modeling import LevelNorm, Norm


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("BN", nn.BatchNorm2d),
        ("SyncBN", nn.SyncBatchNorm),
        ("naiveSyncBN", NaiveSyncBatchNorm),
        ("FrozenBN", FrozenBatchNorm2d),
        ("GN", nn.GroupNorm),
    ],
)
def test_layer(name, kind):
    layer = get_norm(Norm(name, momentum=0.01, eps=1e-3), 64)
    assert type(layer) is kind or (name == "BN" and isinstance(layer, kind))
    assert layer.eps == 1e-3
    assert getattr(layer, "momentum", 0.01) == 0.01
    assert layer.weight.shape == (64,)


def test_each_level_has_statistics_of_its_own():
    """Five maps in turn: each norm sees its own map only, with the momentum asked for."""
    norm = LevelNorm(Norm("BN", momentum=0.01))(4)
    maps = [torch.randn(2, 4, 3, 3) + i for i in range(5)]
    norm.train()
    for x in maps:
        norm(x)
    for layer, x in zip(list(norm), maps, strict=True):
        assert layer.momentum == 0.01
        torch.testing.assert_close(layer.running_mean, 0.01 * x.mean((0, 2, 3)))
    with pytest.raises(ValueError, match="LevelNorm is for batch norms, got 'GN'"):
        LevelNorm(Norm("GN"))(32)


def test_wrong_arguments():
    for arguments, message in ((("bn",), "unknown norm 'bn'.*SyncBN"), (("BN", 0), r"in \(0, 1\]")):
        with pytest.raises(ValueError, match=message):
            Norm(*arguments)
