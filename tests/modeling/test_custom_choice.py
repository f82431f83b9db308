"""Choice blocks of a user's own, with modules in a file outside of the package."""

import sys
from dataclasses import dataclass

import pytest
import torch
from fvcore.nn import FlopCountAnalysis

from detnas_d2.modeling import StandAloneNetwork, Supernet, load_weights, slice_supernet
from detnas_d2.space import (
    Architecture,
    Choice,
    Conv,
    CostTable,
    SearchSpace,
    ShuffleChoice,
    Stage,
)

BLOCKS = '''
import torch
from torch import nn
from detnas_d2.modeling import ConvNorm, ShuffleBlock


class SqueezeExcite(ShuffleBlock):
    """A shuffle block whose output is gated by channel."""

    def __init__(self, choice, in_channels, out_channels, stride, norm):
        super().__init__(choice, in_channels, out_channels, stride, norm)
        self.gate = nn.Conv2d(out_channels, out_channels, 1)

    def forward(self, x):
        x = super().forward(x)
        return x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))


class Skip(nn.Module):
    """Nothing where the shape stays, else one strided convolution."""

    def __init__(self, choice, in_channels, out_channels, stride, norm):
        super().__init__()
        (convs,) = choice.branches(in_channels, out_channels, stride)
        self.convs = nn.Sequential(*(ConvNorm(conv, norm) for conv in convs))

    def forward(self, x):
        return self.convs(x)
'''


@dataclass(frozen=True)
class SqueezeExciteChoice(ShuffleChoice):
    block = "blocks_of_a_user.SqueezeExcite"

    @property
    def name(self):
        return f"se{self.kernel_size}"

    def cost(self, in_channels, out_channels, stride, height, width):
        flops, params = super().cost(in_channels, out_channels, stride, height, width)
        return flops + out_channels**2, params + out_channels**2 + out_channels


@dataclass(frozen=True)
class SkipChoice(Choice):
    name = "skip"
    block = "blocks_of_a_user.Skip"

    def branches(self, in_channels, out_channels, stride):
        same = stride == 1 and in_channels == out_channels
        return ((),) if same else ((Conv(in_channels, out_channels, 3, stride),),)


@pytest.fixture
def space(tmp_path, monkeypatch):
    (tmp_path / "blocks_of_a_user.py").write_text(BLOCKS)
    monkeypatch.syspath_prepend(tmp_path)
    yield SearchSpace(
        "mine",
        8,
        (Stage(16, 2), Stage(24, 1), Stage(32, 2)),
        (ShuffleChoice(3), SqueezeExciteChoice(5), SkipChoice()),
    )
    sys.modules.pop("blocks_of_a_user", None)


@pytest.mark.parametrize("architecture", ["0,1,2,1,2", "2,2,1,2,1", "1,1,1,1,1", "2,2,2,2,2"])
@pytest.mark.parametrize("training", [False, True])
def test_own_blocks_in_supernet_slicing_and_cost(space, randomize, architecture, training):
    features = ["res2", "res3", "res4"]
    supernet = randomize(Supernet(space, out_features=features)).train(training)
    network = StandAloneNetwork(space, architecture, out_features=features).train(training)
    load_weights(network, {"model": {k: v.clone() for k, v in supernet.state_dict().items()}})
    assert supernet.size_divisibility == 16
    images = torch.randn(2, 3, 37, 52)
    with supernet.use_path(architecture):
        ours, theirs = supernet(images), network(images)
    assert all(torch.equal(ours[k], theirs[k]) for k in features)
    path = Architecture.parse(architecture, space)
    assert set(slice_supernet(supernet.state_dict(), path)) == set(network.state_dict())

    table = CostTable(space, (37, 52))
    with torch.no_grad():
        flops = FlopCountAnalysis(network.eval(), images[:1]).by_operator()["conv"]
    assert table.flops(path) == flops
    assert table.params(path) == sum(p.numel() for p in network.parameters())
