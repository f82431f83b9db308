"""Choice blocks against a second implementation, and their costs against fvcore."""

import logging

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch.nn import functional as F

from detnas_d2.modeling import Norm, ShuffleBlock, StandAloneNetwork, build_block
from detnas_d2.space import (
    Choice,
    Conv,
    CostTable,
    SearchSpace,
    ShuffleChoice,
    Stage,
    XceptionChoice,
    get_space,
)

logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)


def count(module, *shape):
    """Multiply-adds of the convolutions, by fvcore; and all parameters."""
    with torch.no_grad():
        by_operator = FlopCountAnalysis(module.eval(), torch.empty(shape)).by_operator()
    return by_operator["conv"], sum(p.numel() for p in module.parameters())


def norm_of(x, weights, name):
    parts = (weights[f"{name}.norm.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
    mean, var, scale, shift = (p.view(1, -1, 1, 1) for p in parts)
    return (x - mean) / torch.sqrt(var + 1e-5) * scale + shift


def by_hand(x, weights, choice, stride):
    """The block as the paper's figures and the authors' code have it, layer by layer."""

    def conv(x, name, stride=1, depthwise=False):
        weight = weights[f"{name}.conv.weight"]
        x = F.conv2d(
            x, weight, None, stride, weight.shape[-1] // 2, 1, len(weight) if depthwise else 1
        )
        return norm_of(x, weights, name)

    projected = x
    if stride == 1:
        n, c, h, w = x.shape
        # The authors' form: of the shuffled tensor's two groups, even channels pass by.
        projected, x = x.reshape(n * c // 2, 2, h * w).permute(1, 0, 2).reshape(2, n, c // 2, h, w)
    else:
        projected = conv(projected, "projection.0", stride, depthwise=True)
        projected = F.relu(conv(projected, "projection.1"))
    if choice == "xception":
        for i in (0, 2, 4):
            x = conv(x, f"main.{i}", stride if i == 0 else 1, depthwise=True)
            x = F.relu(conv(x, f"main.{i + 1}"))
    else:
        x = F.relu(conv(x, "main.0"))
        x = conv(x, "main.1", stride, depthwise=True)
        x = F.relu(conv(x, "main.2"))
    return torch.cat((projected, x), 1)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["3x3", "5x5", "7x7", "xception"])
def test_block_equals_second_implementation(name, stride, randomize):
    choice = XceptionChoice() if name == "xception" else ShuffleChoice(int(name[0]))
    inp = 16 if stride == 1 else 6
    block = randomize(ShuffleBlock(choice, inp, 16, stride, Norm("BN"))).eval()
    x = torch.randn(2, inp, 9, 12)
    with torch.no_grad():
        got = block(x)
        want = by_hand(x, block.state_dict(), name, stride)
    assert got.shape == (2, 16, -(-9 // stride), -(-12 // stride))
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    kernel = block.main[0 if name == "xception" else 1].conv.kernel_size[0]
    assert kernel == (3 if name == "xception" else int(name[0]))


@pytest.mark.parametrize("size", [(224, 224), (131, 97)])
def test_cost_table_equals_fvcore_for_every_choice_of_every_block(size):
    space = get_space("300m")
    table = CostTable(space, size)
    measured = {}
    h, w = (-(-n // 2) for n in size)
    for position, spec in enumerate(space.blocks):
        shape = (spec.in_channels, spec.out_channels, spec.stride)
        for c, choice in enumerate(space.choices):
            key = (shape, c, h, w)
            if key not in measured:
                block = build_block(choice, *shape, Norm("BN"))
                measured[key] = count(block, 1, spec.in_channels, h, w)
            costs = (table.flops.table[position, c], table.params.table[position, c])
            assert measured[key] == costs, (position, choice.name)
        h, w = -(-h // spec.stride), -(-w // spec.stride)
    assert len(measured) == 4 * 2 * 4


def test_weights_start_as_detectron2_fills_them():
    """He et al., fan-out: a variance of 2 / (output channels * kernel area), groups not counted."""
    block = ShuffleBlock(ShuffleChoice(3), 256, 256, 1, Norm("BN"))
    for layer in block.main:
        wanted = 2 / (layer.conv.out_channels * layer.conv.kernel_size[0] ** 2)
        assert layer.conv.weight.var().item() == pytest.approx(wanted, rel=0.15)


class Three(Choice):
    """A description that no shuffle block can run."""

    name = "three"
    block = "detnas_d2.modeling.blocks.ShuffleBlock"

    def __init__(self, *branches):
        object.__setattr__(self, "given", branches)

    def branches(self, in_channels, out_channels, stride):
        return self.given


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ((), "has two branches .* one .*; got 0"),
        (((Conv(8, 4, 3, 2),),) * 3, "has two branches .* one .*; got 3"),
        (((Conv(8, 4, 3, 2),), (Conv(8, 8, 3, 2),)), r".*expected \(1, 8, 24, 24\)"),
    ],
)
def test_branches_that_make_no_shuffle_block(branches, message):
    wrong = SearchSpace("wrong", 8, (Stage(8, 1),), (Three(*branches),))
    with pytest.raises(ValueError, match=f"'three' in block 1 of res2: .*{message}"):
        StandAloneNetwork(wrong, [0], out_features=["res2"])


@pytest.mark.parametrize("path", ["no.such.module.Block", "detnas_d2.modeling.Norm"])
def test_block_that_is_no_module_class(path):
    choice = Three()
    object.__setattr__(choice, "block", path)
    with pytest.raises(ValueError, match=f"(?s)choice 'three': its block '{path}'.*nn.Module"):
        build_block(choice, 8, 8, 1, Norm("BN"))
