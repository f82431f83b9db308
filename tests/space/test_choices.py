"""Choice blocks as data: their shapes, and what they refuse."""

import pytest

from detnas_d2.space import Conv, ShuffleChoice, SpaceError, XceptionChoice


def shapes(branch):
    return [(c.in_channels, c.out_channels, c.kernel_size, c.stride, c.groups) for c in branch]


def relus(branch):
    return [c.relu for c in branch]


def test_shuffle_at_stride_1_has_one_branch_on_half_of_the_channels():
    (main,) = ShuffleChoice(5).branches(160, 160, 1)
    assert shapes(main) == [(80, 80, 1, 1, 1), (80, 80, 5, 1, 80), (80, 80, 1, 1, 1)]
    assert relus(main) == [True, False, True]


def test_shuffle_at_stride_2_projects_with_its_own_kernel():
    main, projection = ShuffleChoice(7).branches(64, 160, 2)
    assert shapes(main) == [(64, 80, 1, 1, 1), (80, 80, 7, 2, 80), (80, 96, 1, 1, 1)]
    assert shapes(projection) == [(64, 64, 7, 2, 64), (64, 64, 1, 1, 1)]
    assert relus(projection) == [False, True]


def test_xception_strides_first_and_projects_with_3x3():
    main, projection = XceptionChoice().branches(64, 160, 2)
    assert shapes(main) == [
        (64, 64, 3, 2, 64),
        (64, 80, 1, 1, 1),
        (80, 80, 3, 1, 80),
        (80, 80, 1, 1, 1),
        (80, 80, 3, 1, 80),
        (80, 96, 1, 1, 1),
    ]
    assert relus(main) == [False, True] * 3
    assert shapes(projection) == [(64, 64, 3, 2, 64), (64, 64, 1, 1, 1)]


@pytest.mark.parametrize("choice", [ShuffleChoice(3), XceptionChoice()])
@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ((16, 15, 2), "15 output channels; expected an even number"),
        ((16, 32, 1), "16 input and 32 output channels at stride 1; expected equal"),
        ((32, 32, 2), "32 input and 32 output channels at stride 2; expected more"),
        ((32, 16, 2), "32 input and 16 output channels at stride 2; expected more"),
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
            ({"kernel_size": k}, f"kernel_size is {k!r}; expected an integer")
            for k in (0, True, "3", None)
        ),
        ({"groups": 3}, "Conv's in_channels is 8, which its 3 groups don't divide"),
        ({"out_channels": 6, "groups": 4}, "Conv's out_channels is 6, which its 4 groups"),
    ],
)
def test_wrong_convolutions_are_refused(arguments, message):
    with pytest.raises(SpaceError, match=message):
        Conv(**{"in_channels": 8, "out_channels": 8, **arguments})
