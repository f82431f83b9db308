"""Blocks of one's own: costs counted from the module, and what is said of wrong modules."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from detnas_d2.evaluation.latency import measure_latency
from detnas_d2.modeling import ModuleChoice, StandAloneNetwork, Supernet
from detnas_d2.modeling.blocks import ConvNorm, build_block
from detnas_d2.modeling.check_blocks import check_space, main
from detnas_d2.modeling.errors import ModelError
from detnas_d2.space import (
    Architecture,
    Choice,
    CostTable,
    SearchSpace,
    ShuffleChoice,
    SpaceError,
    Stage,
)


class Plain(nn.Module):
    """A 3x3 convolution with a bias, a norm, and a linear layer on the means."""

    def __init__(self, choice, in_channels, out_channels, stride, norm):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride, 1)
        self.norm = norm(out_channels)
        self.scale = nn.Linear(out_channels, out_channels)

    def forward(self, x):
        x = self.norm(self.conv(x))
        return x * self.scale(x.mean((2, 3)))[:, :, None, None]


@dataclass(frozen=True)
class PlainChoice(ModuleChoice):
    name = "plain"
    module = Plain


@dataclass(frozen=True)
class Nothing(ModuleChoice):
    name = "nothing"
    module = nn.Identity

    def fits(self, in_channels, out_channels, stride):
        return stride == 1 and in_channels == out_channels


def space_of(*choices: Choice) -> SearchSpace:
    return SearchSpace("own", 8, (Stage(12, 2), Stage(16, 1)), choices)


def test_costs_of_a_module_by_hand():
    space = space_of(ShuffleChoice(3), PlainChoice())
    table = CostTable(space, (36, 20))
    # block 0: 8 -> 12 channels on 18x10 positions, stride 2
    assert table.flops.table[0, 1] == 9 * 8 * 12 * (9 * 5) + 12 * 12
    assert table.params.table[0, 1] == 9 * 8 * 12 + 12 + 2 * 12 + 12 * 12 + 12
    check_space(space, (36, 20))


def variant(**methods) -> ModuleChoice:
    """PlainChoice with a module that differs, found where this module has it."""
    cls = type("Variant", (Plain,), {"__module__": __name__, **methods})
    globals()["Variant"] = cls
    choice = type("VariantChoice", (PlainChoice,), {"module": cls, "__module__": __name__})
    globals()["VariantChoice"] = choice
    return choice()


def init(self, choice, in_channels, out_channels, stride, norm):
    Plain.__init__(self, choice, in_channels, out_channels, stride, norm)
    self.unused = nn.Parameter(torch.ones(1))


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"forward": lambda self, x: Plain.forward(self, x.relu_())}, "changes its input"),
        ({"__init__": init}, "parameter 'unused' gets no gradient"),
        (
            {"forward": lambda self, x: Plain.forward(self, x) * (x.sum() / 0)},
            "gradient of its parameter 'conv.weight' is not finite",
        ),
        (
            {"forward": lambda self, x: self.norm(self.conv(x)) if x.is_meta else [][0]},
            r"an input of \(2, 8, 9, 7\) its forward fails on cpu: IndexError",
        ),
    ],
)
def test_check_space_sees_what_costs_do_not_show(methods, message):
    with pytest.raises(ModelError, match=f"1. plain in block 1 of res2: .*{message}"):
        check_space(space_of(ShuffleChoice(3), variant(**methods)), (36, 36))


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (
            {"forward": lambda self, x: self.conv(x)[:, 1:]},
            r"gives \(1, 11, .*; expected \(1, 12, ",
        ),
        ({"forward": lambda self, x: x}, r"give its choice the method fits\("),
        ({"forward": lambda self, x: [x]}, r"it gives list; expected \(1, 12, "),
        ({"forward": lambda self, x: self.nothing(x)}, "forward fails on .*attribute 'nothing'"),
        (
            {"__init__": lambda self: None},
            "8 -> 12 .*: it can't be made: .*called as block",
        ),
    ],
)
def test_wrong_blocks_are_refused_with_their_place(methods, message):
    """By the costs, and by a network that would be built of them."""
    space = space_of(ShuffleChoice(3), variant(**methods))
    place = r"'own': choice 'plain' in block 1 of res2: "
    with pytest.raises(SpaceError, match=f"{place}.*{message}"):
        CostTable(space, (36, 36))
    with pytest.raises(ModelError, match=f"{place}.*{message}.*check_blocks"):
        Supernet(space, out_features=["res3"])
    with pytest.raises(ModelError, match=message):
        StandAloneNetwork(space, "1,0,0", out_features=["res3"])
    StandAloneNetwork(space, "0,0,0", out_features=["res3"])


def test_right_blocks_are_tried_without_random_numbers():
    """Also one that can't run without its numbers."""

    def forward(self, x):
        return Plain.forward(self, x) * (1 if x.sum().item() > 0 else 2)

    for choice in (PlainChoice(), variant(forward=forward)):
        space = space_of(ShuffleChoice(3), choice)
        before = torch.get_rng_state()
        network = Supernet(space, out_features=["res3"])
        torch.set_rng_state(before)
        ConvNorm(space.stem, nn.BatchNorm2d)  # as the supernet: stem first
        first = build_block(space.choices[0], 8, 12, 2, nn.BatchNorm2d)
        second = build_block(space.choices[1], 8, 12, 2, nn.BatchNorm2d)
        for mine, its in ((first, network.res2[0][0]), (second, network.res2[0][1])):
            for a, b in zip(mine.parameters(), its.parameters(), strict=True):
                assert torch.equal(a, b)


@dataclass(frozen=True)
class Wrong(ShuffleChoice):
    """As one who forgets the gate's convolutions."""

    name = "wrong"

    def cost(self, *shape):
        flops, params = super().cost(*shape)
        return flops - 7, params


def test_check_space_compares_costs_written_by_hand():
    with pytest.raises(ModelError) as caught:
        check_space(space_of(ShuffleChoice(3), Wrong(5)), (64, 64))
    text = str(caught.value)
    flops = ShuffleChoice(5).cost(8, 12, 2, 32, 32)[0]
    assert f"wrong in block 1 of res2: on 32x32 positions it says {flops - 7:,} multiply" in text
    assert f"counted are {flops:,}" in text
    assert "(Also in block 2 of res2, block 1 of res3.)" in text
    assert len(text.splitlines()) == 1 + 1  # one fault in three shapes


@pytest.mark.parametrize("cost", [7, (1, 2.5), (-1, 2)])
def test_costs_that_are_none_are_refused(cost):
    @dataclass(frozen=True)
    class Odd(ShuffleChoice):
        def cost(self, *shape):
            return cost

    message = rf"choice '3x3' in block 1 of res2: its cost is {re.escape(str(cost))}; expected"
    with pytest.raises(SpaceError, match=message):
        CostTable(space_of(Odd(3)))


def test_choices_without_a_module_or_out_of_reach_are_refused():
    @dataclass(frozen=True)
    class Nameless(ModuleChoice):
        name = "n"

    with pytest.raises(SpaceError, match=r"Nameless.module is None; expected the nn.Module class"):
        space_of(Nameless())

    @dataclass(frozen=True)
    class Local(PlainChoice):
        name = "local"

    with pytest.raises(ModelError, match="local: other processes can't import its class by its"):
        check_space(space_of(Local()), (36, 36))


def test_fields_without_a_hash_are_refused():
    @dataclass(frozen=True)
    class Listed(PlainChoice):
        kernels: list = dataclasses.field(default_factory=list)

    with pytest.raises(SpaceError, match=r"choices\[0\] .*unhashable.*make it a tuple in __post_"):
        space_of(Listed([3, 5]))


def test_command(tmp_path, capsys):
    config = tmp_path / "own.py"
    config.write_text(
        "from detectron2.config import LazyCall as L\n"
        "from detnas_d2.space import SearchSpace, ShuffleChoice, Stage\n"
        "space = L(SearchSpace)(name='own', stem_channels=8, choices=[L(ShuffleChoice)()],\n"
        "    stages=[L(Stage)(channels=12, blocks=3)])\n"
    )
    main([str(config), "--input-size", "64", "64"])
    output = capsys.readouterr().out
    rows = [line.split() for line in output.splitlines()]
    flops = ShuffleChoice().cost(12, 12, 1, 16, 16)[0]
    assert ["res2", "12", "->", "12", "1", "16x16", "2", f"{flops / 1e6:.2f}"] in rows
    assert "all choices run and cost what they say" in output
    with pytest.raises(SystemExit, match="there is no space 'dome'"):
        main(["dome"])


def test_latency_of_a_space_with_choices_that_do_not_fit():
    """Every choice that fits is timed, the others have no figure, and the table is a cost."""
    space = space_of(ShuffleChoice(3), PlainChoice(), Nothing())
    table = measure_latency(space, (32, 32), rounds=2)
    assert [[n is not None for n in row] for row in table.block_ms] == space.allowed.tolist()
    cost = table.cost(space, (32, 32))
    assert cost(cost.cheapest()) == pytest.approx(
        table.constant_ms + sum(min(n for n in row if n is not None) for row in table.block_ms),
        abs=1e-3,
    )
    for architecture in table.check["architectures"]:
        Architecture(space, tuple(architecture))  # raises where a choice doesn't fit
