"""Choice blocks as data, ours and a user's own: what tells them apart, and what is refused."""

from dataclasses import dataclass

import pytest

from detnas_d2.space import (
    Choice,
    Conv,
    SearchSpace,
    ShuffleChoice,
    SpaceError,
    Stage,
    XceptionChoice,
)


@dataclass(frozen=True)
class Own(Choice):
    """One convolution; name and block are fields."""

    name: str
    block: str = "my.package.Own"
    extra: object = None

    def branches(self, in_channels, out_channels, stride):
        return ((Conv(in_channels, out_channels, stride=stride),),)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 0}, "Conv's in_channels is 0; expected an integer of at least 1"),
        ({"stride": 1.5}, "Conv's stride is 1.5"),
        ({"kernel_size": 2}, "Conv's kernel_size is 2; expected an odd number"),
        ({"kernel_size": True}, "kernel_size is True; expected an int"),
        ({"groups": 3}, "Conv's in_channels is 8, which its 3 groups don't divide"),
        ({"out_channels": 6, "groups": 4}, "Conv's out_channels is 6, which its 4 groups"),
    ],
)
def test_wrong_convolutions_are_refused(arguments, message):
    with pytest.raises(SpaceError, match=message):
        Conv(**{"in_channels": 8, "out_channels": 8, **arguments})


def test_fingerprint_sees_class_fields_and_branches():
    class Renamed(ShuffleChoice):
        block = "another.Block"

    choices = [ShuffleChoice(3), XceptionChoice(), Renamed(3)]
    choices += [Own("own"), Own("other"), Own("own", "another.Block"), Own("own", extra=3)]
    spaces = [SearchSpace("s", 16, (Stage(32, 2),), (choice,)) for choice in choices]
    assert len({space.fingerprint for space in spaces}) == len(choices)


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
        (Own("s", extra=len), r"choices\[0\] \(Own\): a field has no plain value .a builtin_fun"),
    ],
)
def test_broken_choices_are_refused_with_their_place(choice, message):
    with pytest.raises(SpaceError, match=message):
        SearchSpace("s", 8, (Stage(16, 1),), (choice,))
