"""Search spaces as data: instances, values, validation, and what LazyConfig makes of them."""

import copy
import pickle

import pytest

from detnas_d2.space import (
    SPACES,
    BlockSpec,
    Conv,
    SearchSpace,
    ShuffleChoice,
    SpaceError,
    Stage,
    XceptionChoice,
    feature_channels,
    get_space,
    resolve_space,
)


def small(**changes):
    arguments = {
        "name": "small",
        "stem_channels": 8,
        "stages": (Stage(16, 2), Stage(32, 1)),
        "choices": (ShuffleChoice(3), XceptionChoice()),
    }
    return SearchSpace(**{**arguments, **changes})


def test_blocks_in_order():
    space = small()
    assert space.blocks == (
        BlockSpec(0, 0, 8, 16, 2),
        BlockSpec(0, 1, 16, 16, 1),
        BlockSpec(1, 0, 16, 32, 2),
    )
    assert (space.num_blocks, space.num_choices, space.size) == (3, 2, 8)
    assert space.stem == Conv(3, 8, kernel_size=3, stride=2)
    assert space.stage_names == ("res2", "res3")


def test_equality_is_by_value():
    a, b = small(), small(stages=[Stage(16, 2), Stage(32, 1)], choices=list(small().choices))
    assert a == b == pickle.loads(pickle.dumps(a)) == copy.deepcopy(a)
    assert (hash(a), a.fingerprint) == (hash(b), b.fingerprint)
    for changes in (
        {"name": "other"},
        {"stem_channels": 10},
        {"stages": (Stage(16, 2), Stage(32, 2))},
        {"choices": (XceptionChoice(), ShuffleChoice(3))},
        {"choices": (ShuffleChoice(5), XceptionChoice())},
    ):
        assert small(**changes) != a and small(**changes).fingerprint != a.fingerprint


def test_published_spaces():
    space = get_space("3.8g")
    assert [stage.channels for stage in space.stages] == [172, 432, 864, 1728]
    assert [choice.name for choice in space.choices] == ["3x3", "5x5", "7x7", "xception"]
    assert space.size == 4**40
    # these stand in ledgers and latency tables
    assert {name: space.fingerprint for name, space in SPACES.items()} == {
        "300m": "9dd6e04466035082",
        "1.3g": "a34157e69b9cf980",
        "3.8g": "9fc8126d412d3767",
        "demo": "b477c1c552773349",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "the space's name is ''"),
        (
            {"stem_channels": 0},
            "space 'small': stem_channels is 0; expected an integer of at least 1",
        ),
        *(({"stages": s}, "expected a list of at least one Stage") for s in ((), None, "16")),
        ({"stages": [Stage(16, 2), 32]}, r"stages\[1\] is 32; expected a Stage"),
        ({"choices": []}, "choices is .*expected a list of at least one Choice"),
        ({"choices": [ShuffleChoice(3), "5x5"]}, r"choices\[1\] is '5x5'; expected a Choice"),
        ({"choices": [ShuffleChoice]}, r"expected a Choice instance: ShuffleChoice\(\.\.\.\)"),
        (
            {"choices": [ShuffleChoice(3), ShuffleChoice(3)]},
            r"choices\[1\] \(ShuffleChoice\) is named '3x3'; expected a name without dots that",
        ),
        (
            {"stages": [Stage(16, 2), Stage(31, 1)]},
            "choice '3x3' can't be block 1 of res3: 31 output channels; expected an even number",
        ),
        ({"stages": [Stage(16, 1, 1)]}, "8 input and 16 output channels at stride 1; expected eq"),
        ({"stages": [Stage(8, 1)]}, "8 input and 8 output channels at stride 2; expected more"),
    ],
)
def test_wrong_spaces_are_refused(changes, message):
    with pytest.raises(SpaceError, match=message):
        small(**changes)


@pytest.mark.parametrize("value", [0, 2.0, "2", True])
def test_wrong_stages_are_refused(value):
    for field in ("channels", "blocks", "stride"):
        with pytest.raises(
            SpaceError, match=f"Stage's {field} is {value!r}; expected an integer of"
        ):
            Stage(**{"channels": 16, "blocks": 2, field: value})


def test_spaces_and_feature_maps_by_name():
    space = small()
    assert resolve_space(space) is space
    assert resolve_space("demo") is SPACES["demo"]
    with pytest.raises(SpaceError, match="the space is 300; expected a SearchSpace or one of"):
        resolve_space(300)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="no space '300M', only 300m, .*Did you mean '300m'"):
        get_space("300M")
    # of stages and of FPN levels, for RetinaNet's P6
    assert [feature_channels(f"res{i}", "300m", 256) for i in (2, 3, 4, 5)] == [64, 160, 320, 640]
    assert feature_channels("p5", "300m", 256) == 256
    with pytest.raises(SpaceError, match="no feature map 'res6' of the space '300m'; .* res5, or"):
        feature_channels("res6", "300m", 256)
