"""Peak activation memory by hand; tests/modeling/test_memory.py has what is really allocated."""

import pytest

from detnas_d2.space import (
    Architecture,
    Conv,
    SearchSpace,
    ShuffleChoice,
    SpaceError,
    Stage,
    XceptionChoice,
    get_space,
    memory_cost,
)
from detnas_d2.space.choices import Choice


def test_published_space_by_hand():
    """300m at 224x224: tensors of channels times positions, four bytes each number."""
    cost = memory_cost(get_space("300m"))
    image, stem = 3 * 224 * 224, 16 * 112 * 112
    assert cost.constant == 4 * (image + 2 * stem)  # the convolution's output, and the norm's
    # res2, block 1 (16 to 64 channels): its input, then the projection's result of 16 channels at
    # 56x56, then the first 1x1 convolution of 32 channels at 112x112 and its norm
    shuffle = image + stem + 16 * 56 * 56 + 2 * 32 * 112 * 112
    # Xception begins with the stride: the depthwise convolution of the projection and its norm,
    # read by the 1x1; then in the main branch six convolutions at 56x56; at the end 16 + 48 + 64
    xception = image + stem + (16 + 32 + 2 * 48) * 56 * 56
    assert cost.table[0].tolist() == [4 * shuffle] * 3 + [4 * xception]
    # res2, block 2: input, the two shuffled halves, main branch's result, concatenation
    assert cost.table[1].tolist() == [4 * (image + (64 + 64 + 32 + 64) * 56 * 56)] * 4
    # res3, block 2: the same with 160 channels at 28x28, while res2's output stays
    assert cost.table[5, 0] == 4 * (image + 64 * 56 * 56 + (160 * 3 + 80) * 28 * 28)
    # res3, block 1: res2's output is its input, and counts once
    peak = 64 * 56 * 56 + 64 * 28 * 28 + 2 * 80 * 56 * 56
    assert cost.table[4, 0] == 4 * (image + peak)
    # an architecture's worst moment: there, where res2 begins with Xception; else in res2
    assert cost(Architecture(cost.space, (3,) + (0,) * 19)) == cost.table[4, 0]
    assert cost(Architecture(cost.space, (0,) * 20)) == 4 * shuffle == cost.maximum


@pytest.mark.parametrize("features", [("res3",), ("res2", "res3"), ()])
def test_stages_that_are_not_read_do_not_stay(features):
    space = SearchSpace("s", 4, (Stage(8, 2), Stage(16, 2)), (ShuffleChoice(3),))
    every, some = memory_cost(space, (32, 32)), memory_cost(space, (32, 32), features)
    kept = 4 * 8 * 8 * 8 if "res2" in features or not features else 0
    assert every.table[3, 0] - some.table[3, 0] == 4 * 8 * 8 * 8 - kept
    assert every.table[:3].tolist() == some.table[:3].tolist()


def test_blocks_of_another_family():
    """The base class's rule: branches in their order, then one tensor more for several."""

    class Pair(Choice):
        name, block = "pair", "my.Pair"

        def branches(self, in_channels, out_channels, stride):
            bottleneck = (Conv(in_channels, 2), Conv(2, out_channels, 3, stride))
            return bottleneck, (Conv(in_channels, out_channels, stride=stride),)

    class Skip(Choice):
        name, block = "skip", "my.Skip"

        def branches(self, in_channels, out_channels, stride):
            return ((Conv(in_channels, out_channels, stride=stride),),) if stride > 1 else ()

    # 7x9 to 4x5 positions; the second convolution is the worst, then the end with 3 * 5 * 20
    assert Pair().peak_activations(3, 5, 2, 7, 9) == 3 * 63 + 2 * 63 + 2 * 5 * 20
    assert Pair().peak_activations(1, 50, 2, 7, 9) == 1 * 63 + 3 * 50 * 20
    assert Skip().peak_activations(3, 5, 2, 7, 9) == 3 * 63 + 2 * 5 * 20
    assert Skip().peak_activations(3, 3, 1, 7, 9) == 3 * 63
    space = SearchSpace("own", 4, (Stage(4, 2),), (Pair(), Skip()))
    assert memory_cost(space, (30, 30)).table.shape == (2, 2)


def test_wrong_sizes_and_a_block_that_knows_better():
    with pytest.raises(SpaceError, match="the input size is"):
        memory_cost(get_space("demo"), (224,))

    class Wide(XceptionChoice):
        name = "wide"

        def peak_activations(self, in_channels, out_channels, stride, height, width):
            return 2 * super().peak_activations(in_channels, out_channels, stride, height, width)

    space = SearchSpace("own", 4, (Stage(8, 2),), (XceptionChoice(), Wide()))
    table = memory_cost(space, (30, 30)).table // 4 - 3 * 30 * 30
    assert table[:, 1].tolist() == (2 * table[:, 0]).tolist()
