"""The cost table against published figures; tests/modeling counts each block by fvcore."""

from fractions import Fraction

import numpy as np
import pytest

from detnas_d2.space import (
    Architecture,
    ArchitectureError,
    BlockCost,
    CostTable,
    SpaceError,
    get_space,
)

LARGE = "0,0,3,1,2,1,0,2, 0,3,1,2,3,3,2,0, 2,1,1,3,2,0,2,2,2,1,3,1,0,3,3,3, 1,3,3,3,3,3,3,3"


@pytest.mark.parametrize(
    ("space", "architecture", "flops"),
    [
        ("300m", "2,1,2,0, 2,1,1,2, 3,3,1,3,0,0,3,1, 3,1,3,2", 288_082_368),  # COCO, FPN
        ("300m", "2,3,1,1, 3,2,1,3, 3,1,1,1,3,3,2,0, 3,3,3,3", 291_205_824),  # COCO, RetinaNet
        ("300m", "2,1,0,3, 1,3,0,3, 2,0,1,1,3,3,3,3, 3,3,3,1", 316_387_904),  # VOC, FPN
        ("300m", "1,3,0,0, 2,3,3,3, 2,3,3,3,3,2,2,0, 2,3,1,1", 327_489_344),  # VOC, RetinaNet
        ("300m", ",".join("0" * 20), 262_705_856),
        ("300m", ",".join("3" * 20), 325_689_280),
        ("1.3g", LARGE, 1_269_181_536),
        ("1.3g", ",".join("0" * 40), 1_036_681_632),  # ShuffleNetV2-40, by fvcore's count
        ("3.8g", LARGE, 3_937_832_864),
    ],
)
def test_published_figures(space, architecture, flops):
    table = CostTable(get_space(space))
    a = Architecture.parse(architecture, table.space)
    assert table.flops(a) == flops
    assert table.flops(a.choices) == table.flops(np.array(a.choices, np.uint8)) == flops
    assert table.flops(np.array([a.choices] * 2, np.uint8)).tolist() == [flops] * 2
    stages = table.by_stage(a)
    assert [name for name, _, _ in stages] == ["stem", "res2", "res3", "res4", "res5"]
    assert (sum(f for _, f, _ in stages), sum(p for *_, p in stages)) == (flops, table.params(a))
    # parameters don't depend on the input's size
    assert CostTable(table.space, (64, 96)).params(a) == table.params(a)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((2, 19), int), r"shape \(2, 19\) and type int64; expected integers of shape"),
        (np.zeros((2, 20)), "type float64; expected integers"),
        (np.full((2, 20), 4), "row 0 of the array: .*block 1 of 20 .* has choice 4"),
        (np.array([[0] * 20, [0] * 19 + [-1]]), "row 1 of the array: .*block 20 of 20"),
        (np.array(3), "isn't a list of choices"),
        (Architecture.parse(LARGE, get_space("1.3g")), "an architecture of space '1.3g'"),
    ],
)
def test_wrong_architectures_are_refused(value, message):
    with pytest.raises(ArchitectureError, match=message):
        CostTable(get_space("300m")).flops(value)


@pytest.mark.parametrize("size", [224, (1, 2, 3), (224, -1), (1.5, 2), "22", None])
def test_wrong_input_sizes_are_refused(size):
    with pytest.raises(SpaceError, match=r"the input size is .*expected \(height, width\)"):
        CostTable(get_space("demo"), size)


def test_sums_of_floats_are_exact_in_any_order():
    """A limit at an architecture's own cost holds, however the sum is made."""
    space, rng = get_space("300m"), np.random.default_rng(0)
    rows, choices = rng.uniform(0, 5, (20, 4)).tolist(), rng.integers(4, size=(500, 20))
    cost = BlockCost(space, "ms", rows, 0.7)
    assert np.abs(cost.table - rows).max() <= 2**-14
    many = cost(choices).tolist()
    for architecture, value in zip(choices.tolist(), many, strict=True):
        parts = [cost.constant, *cost.table[range(20), architecture].tolist()]
        assert value == cost(architecture) == sum(map(Fraction, parts))
    with pytest.raises(SpaceError, match="units are more than 64 bits count"):
        BlockCost(space, "units", [[1, 2, 2, 2**60]] * 20, 0)
