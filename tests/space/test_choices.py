"""Choice blocks as data, ours and a user's own: what they are made of, cost, and refuse."""

from dataclasses import dataclass

import pytest

from detnas_d2.space import (
    Architecture,
    Choice,
    Conv,
    CostTable,
    SearchSpace,
    ShuffleChoice,
    SpaceError,
    Stage,
    XceptionChoice,
)


def depthwise(channels, kernel, stride=1):
    return Conv(channels, channels, kernel, stride, channels, relu=False)


@pytest.mark.parametrize(
    ("choice", "channels", "branches"),
    [
        (ShuffleChoice(5), (160, 160, 1), [(Conv(80, 80), depthwise(80, 5), Conv(80, 80))]),
        (
            ShuffleChoice(7),
            (64, 160, 2),
            [
                (Conv(64, 80), depthwise(80, 7, 2), Conv(80, 96)),
                (depthwise(64, 7, 2), Conv(64, 64)),
            ],
        ),
        (
            XceptionChoice(),
            (64, 160, 2),
            [
                (
                    *(depthwise(64, 3, 2), Conv(64, 80), depthwise(80, 3), Conv(80, 80)),
                    *(depthwise(80, 3), Conv(80, 96)),
                ),
                (depthwise(64, 3, 2), Conv(64, 64)),
            ],
        ),
    ],
)
def test_branches_of_shufflenet_v2(choice, channels, branches):
    """Half of the channels at stride 1; the projection has the main branch's kernel."""
    assert choice.branches(*channels) == tuple(branches)


@pytest.mark.parametrize("choice", [ShuffleChoice(3), XceptionChoice()])
@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ((16, 15, 2), "15 output channels; expected an even number"),
        ((16, 32, 1), "16 input and 32 output channels at stride 1; expected equal"),
        ((32, 32, 2), "32 input and 32 output channels at stride 2; expected more"),
    ],
)
def test_impossible_channels_are_refused(choice, channels, message):
    with pytest.raises(SpaceError, match=message):
        choice.branches(*channels)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 0}, "Conv's in_channels is 0; expected an integer of at least 1"),
        ({"stride": 1.5}, "Conv's stride is 1.5"),
        ({"kernel_size": 2}, "Conv's kernel_size is 2; expected an odd number"),
        *(
            ({"kernel_size": k}, f"kernel_size is {k!r}; expected an int")
            for k in (True, "3", None)
        ),
        ({"groups": 3}, "Conv's in_channels is 8, which its 3 groups don't divide"),
        ({"out_channels": 6, "groups": 4}, "Conv's out_channels is 6, which its 4 groups"),
    ],
)
def test_wrong_convolutions_are_refused(arguments, message):
    with pytest.raises(SpaceError, match=message):
        Conv(**{"in_channels": 8, "out_channels": 8, **arguments})


@dataclass(frozen=True)
class InvertedResidual(Choice):
    """MobileNetV2's: one branch of three convolutions."""

    expansion: int = 6

    name = "inverted"
    block = "my.package.InvertedResidual"

    def branches(self, in_channels, out_channels, stride):
        mid = in_channels * self.expansion
        main = (Conv(in_channels, mid), depthwise(mid, 3, stride), Conv(mid, out_channels))
        return (main,)


@dataclass(frozen=True)
class Skip(Choice):
    """Identity where shapes allow it, else a strided 1x1 convolution; name and block are fields."""

    name: str
    block: str = "my.package.Skip"
    extra: object = None

    def branches(self, in_channels, out_channels, stride):
        if stride == 1 and in_channels == out_channels:
            return ()
        return ((Conv(in_channels, out_channels, stride=stride),),)

    def cost(self, *shape):
        """Two convolutions of squeeze-and-excitation, which see one position."""
        flops, params = super().cost(*shape)
        return flops + (self.extra or 0), params + (self.extra or 0)


def test_costs_of_another_family():
    """Stride 1 with a change of channels, and equal channels at stride 2."""
    stages = (Stage(16, 1, stride=1), Stage(24, 2), Stage(24, 1))
    choices = (InvertedResidual(), Skip("skip"), Skip("se", extra=256))
    space = SearchSpace("mobile", 32, stages, choices)
    table = CostTable(space, (64, 64))
    # block 2: 16 -> 24 channels, 32x32 -> 16x16 positions
    assert table.block_flops[1].tolist() == [
        16 * 96 * 32 * 32 + (9 * 96 + 96 * 24) * 16 * 16,
        *(16 * 24 * 16 * 16, 16 * 24 * 16 * 16 + 256),
    ]
    assert table.block_params[1, 1:].tolist() == [16 * 24 + 2 * 24, 16 * 24 + 2 * 24 + 256]
    # an identity costs nothing
    assert table.block_flops[2, 1] == table.block_params[2, 1] == 0
    assert table.cheapest() == Architecture(space, (1,) * 4)


def test_fingerprint_sees_class_fields_and_branches():
    def fingerprint(choice):
        return SearchSpace("s", 16, (Stage(32, 2),), (choice,)).fingerprint

    class Renamed(ShuffleChoice):
        block = "another.Block"

    choices = [
        *(ShuffleChoice(3), XceptionChoice(), Renamed(3), InvertedResidual(6)),
        *(Skip("skip"), Skip("other"), Skip("skip", "another.Block")),
    ]
    assert len({fingerprint(choice) for choice in choices}) == len(choices)
    assert fingerprint(Skip("skip")) == fingerprint(Skip("skip"))


def broken(branches=((),), **attributes):
    """A choice with these branches: its attributes are the class's."""

    def method(self, *shape):
        if isinstance(branches, Exception):
            raise branches
        return branches

    return type(
        "Broken", (Choice,), {"name": "b", "block": "x.Y", "branches": method, **attributes}
    )()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (broken(name=""), r"choices\[0\] \(Broken\) has name ''; expected a text"),
        (broken(block=None), r"choices\[0\] \(Broken\) has block None; expected a text"),
        (broken(name="a.b"), "named 'a.b'; expected a name without dots"),
        (broken([[Conv(8, 16, 1, 2)]]), "can't be block 1 of res2: its branches aren't a tuple"),
        (broken(ValueError("no")), "choice 'b' can't be block 1 of res2: no"),
        (broken(((3,),)), "convolution 0 of branch 0 is 3; expected a Conv"),
        (broken(((Conv(8, 16),),)), "strides in branch 0 multiply to 1; expected the block's 2"),
        (
            broken(((Conv(8, 16, stride=2), Conv(8, 16)),)),
            "convolution 1 of branch 0 takes 8 channels; expected the 16 that the one before",
        ),
        (broken(((Conv(9, 16, stride=2),),)), "branch 0 takes 9 channels; the block has 8"),
        (Skip("s", extra=len), r"choices\[0\] \(Skip\): a field has no plain value .a builtin_fun"),
    ],
)
def test_broken_choices_are_refused_with_their_place(choice, message):
    with pytest.raises(SpaceError, match=message):
        SearchSpace("s", 8, (Stage(16, 1),), (choice,))
