"""Choice blocks of a user's own: nothing in the package knows them."""

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


@dataclass(frozen=True)
class InvertedResidual(Choice):
    """MobileNetV2's: one branch of three convolutions."""

    expansion: int = 6
    kernel_size: int = 3

    block = "my.package.InvertedResidual"

    @property
    def name(self):
        return f"e{self.expansion}k{self.kernel_size}"

    def branches(self, in_channels, out_channels, stride):
        mid = in_channels * self.expansion
        return (
            (
                Conv(in_channels, mid),
                Conv(mid, mid, self.kernel_size, stride, groups=mid),
                Conv(mid, out_channels, relu=False),
            ),
        )


@dataclass(frozen=True)
class Skip(Choice):
    """Identity where shapes allow it, else a strided 1x1 convolution; name and block are fields."""

    name: str
    block: str = "my.package.Skip"

    def branches(self, in_channels, out_channels, stride):
        if stride == 1 and in_channels == out_channels:
            return ()
        return ((Conv(in_channels, out_channels, stride=stride),),)


# Stride 1 with a change of channels, and equal channels at stride 2: not a StandAloneNetwork
MOBILE = SearchSpace(
    "mobile",
    32,
    (Stage(16, 1, stride=1), Stage(24, 3), Stage(24, 2)),
    (InvertedResidual(6, 3), InvertedResidual(3, 5), Skip("skip")),
)


def test_costs_of_another_family():
    table = CostTable(MOBILE, (64, 64))
    # block 2: 16 -> 24 channels, 32x32 -> 16x16 positions
    assert table.block_flops[1].tolist() == [
        16 * 96 * 32 * 32 + (9 * 96 + 96 * 24) * 16 * 16,
        16 * 48 * 32 * 32 + (25 * 48 + 48 * 24) * 16 * 16,
        16 * 24 * 16 * 16,
    ]
    assert table.block_params[1, 2] == 16 * 24 + 2 * 24
    # an identity costs nothing
    assert table.block_flops[2, 2] == table.block_params[2, 2] == 0
    every = Architecture(MOBILE, (2,) * 6)
    assert table.cheapest() == every
    assert [f for _, f, _ in table.by_stage(every)] == [
        27 * 32 * 32 * 32,
        32 * 16 * 32 * 32,
        16 * 24 * 16 * 16,
        24 * 24 * 8 * 8,
    ]


def test_a_choice_may_compute_its_cost():
    class SqueezeExcite(ShuffleChoice):
        """Has two convolutions more that see one position only."""

        name = "se"

        def cost(self, *shape):
            flops, params = super().cost(*shape)
            return flops + 256, params + 256

    stages, choices = (Stage(32, 2),), (ShuffleChoice(3), SqueezeExcite(3))
    table = CostTable(SearchSpace("se", 16, stages, choices), (32, 32))
    for costs in (table.block_flops, table.block_params):
        assert (costs[:, 1] - costs[:, 0]).tolist() == [256] * 2


def test_fingerprint_sees_class_fields_and_branches():
    def fingerprint(choice):
        return SearchSpace("s", 16, (Stage(32, 2),), (choice,)).fingerprint

    class Renamed(ShuffleChoice):
        block = "another.Block"

    choices = [
        *(ShuffleChoice(3), XceptionChoice(), Renamed(3), InvertedResidual(6, 3)),
        *(Skip("skip"), Skip("other"), Skip("skip", "another.Block")),
    ]
    assert len({fingerprint(choice) for choice in choices}) == len(choices)
    assert fingerprint(Skip("skip")) == fingerprint(Skip("skip"))


def broken(branches=((),), **attributes):
    """A choice with these branches: its attributes are the class's."""

    def method(self, in_channels, out_channels, stride):
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
        (
            broken([[Conv(8, 16, stride=2)]]),
            "can't be block 1 of res2: its branches aren't a tuple",
        ),
        (broken(((3,),)), "convolution 0 of branch 0 is 3; expected a Conv"),
        (broken(((Conv(8, 16),),)), "strides in branch 0 multiply to 1; expected the block's 2"),
        (
            broken(((Conv(8, 16, stride=2), Conv(8, 16)),)),
            "convolution 1 of branch 0 takes 8 channels; expected the 16 that the one before",
        ),
        (broken(((Conv(9, 16, stride=2),),)), "branch 0 takes 9 channels; the block has 8"),
    ],
)
def test_broken_choices_are_refused_with_their_place(choice, message):
    with pytest.raises(SpaceError, match=message):
        SearchSpace("s", 8, (Stage(16, 1),), (choice,))


def test_errors_of_a_choice_gain_the_place():
    class Picky(Skip):
        def branches(self, in_channels, out_channels, stride):
            raise ValueError("no thanks")

    with pytest.raises(SpaceError, match="choice 'picky' can't be block 1 of res2: no thanks"):
        SearchSpace("s", 8, (Stage(16, 1),), (Picky("picky"),))


def test_fields_that_have_no_plain_form_are_refused():
    @dataclass(frozen=True)
    class Odd(Skip):
        activation: object = None

    for value, kind in ((len, "builtin_function_or_method"), (object(), "object")):
        message = rf"choices\[0\] \(Odd\): a field has no plain value .a {kind} has no plain form"
        with pytest.raises(SpaceError, match=message):
            SearchSpace("s", 8, (Stage(16, 1),), (Odd("skip", activation=value),))
