"""Architectures: forms that round-trip, equality, and errors that name the position."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detnas_d2.space import SPACES, Architecture, ArchitectureError, SearchSpace, get_space

SPACE = get_space("300m")
PUBLISHED = (2, 1, 2, 0, 2, 1, 1, 2, 3, 3, 1, 3, 0, 0, 3, 1, 3, 1, 3, 2)


def renamed(name="twin"):
    return SearchSpace(name, SPACE.stem_channels, SPACE.stages, SPACE.choices)


@st.composite
def architectures(draw):
    space = SPACES[draw(st.sampled_from(sorted(SPACES)))]
    choice = st.integers(0, space.num_choices - 1)
    return Architecture(
        space, tuple(draw(st.lists(choice, min_size=space.num_blocks, max_size=space.num_blocks)))
    )


@given(architectures())
def test_every_form_round_trips(a):
    assert a == Architecture.parse(a, a.space)
    assert a == Architecture.parse(str(a), a.space)
    assert a == Architecture.parse(str(list(a)), a.space)
    assert a == Architecture.parse(list(a), a.space)
    assert a == Architecture.parse(np.array(a.choices, dtype=np.int8), a.space)
    assert a == Architecture.parse(json.loads(json.dumps(a.to_json())), a.space)
    assert a == pickle.loads(pickle.dumps(a)) == copy.deepcopy(a)
    assert hash(a) == hash(Architecture.parse(str(a), a.space))


@given(st.text() | st.lists(st.integers()) | st.none() | st.floats() | st.binary())
def test_whatever_comes_in_ends_in_a_clear_error(value):
    with pytest.raises(ArchitectureError, match="architecture of space '300m': "):
        Architecture.parse(value, SPACE)


def test_text_with_blanks_and_brackets():
    text = "[2,1,2,0, 2,1,1,2, 3,3,1,3,0,0,3,1, 3,1,3,2]"
    assert Architecture.parse(text, SPACE).choices == PUBLISHED
    assert Architecture.parse(f"  {text[1:-1]},\n", SPACE).choices == PUBLISHED
    assert str(Architecture.parse(text, SPACE)) == "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2"


def test_it_is_a_sequence_of_ints():
    a = Architecture(SPACE, np.array(PUBLISHED))
    assert (len(a), list(a), a[0], a[-1]) == (20, list(PUBLISHED), 2, 2)
    assert all(type(choice) is int for choice in a)


def test_equality_means_the_same_network():
    a, b = Architecture(SPACE, PUBLISHED), Architecture(SPACE, PUBLISHED[:-1] + (0,))
    assert a == Architecture(SPACE, list(PUBLISHED))  # type: ignore[arg-type]
    assert a != b
    assert a != Architecture(renamed(), PUBLISHED)
    assert a != PUBLISHED
    assert len({a, b, Architecture(SPACE, PUBLISHED), Architecture(renamed(), PUBLISHED)}) == 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        *(
            (f"{'0,' * n}", rf"got {n} choices, expected 20 \(4\+4\+8\+4 blocks\)")
            for n in (0, 1, 21)
        ),
        (" \n", "got 0 choices"),
        ("[]", "got 0 choices"),
        *(
            (text, "isn't a list of integers with a comma between two; give the choices as 2,1")
            for text in ("2 1 2 0", "2,,1", "2,1,[0", "9" * 5000)
        ),
        (
            "0,-1,0",
            r"block 2 of 20 \(block 2 of res2\) has choice -1; expected one of those that",
        ),
        *(
            (
                (0, 1, 2, 3, value),
                rf"block 5 of 20 \(block 1 of res3\) has choice {value!r}; expected"
                r" one of those that fit its shape \(0: 3x3, 1: 5x5, 2: 7x7, 3: xception\)",
            )
            for value in (4, -1, 1.0, True, None, "1", 10**30)
        ),
        ((0,) * 19 + (4,), r"block 20 of 20 \(block 4 of res5\) has choice 4"),
        (3, "3 isn't a list of choices"),
    ],
)
def test_wrong_architectures_are_told_by_their_position(value, message):
    with pytest.raises(ArchitectureError, match=message):
        Architecture.parse(value, SPACE)


def write(folder: Path, content) -> Path:
    path = folder / "best_architecture.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_files(tmp_path):
    a = Architecture(SPACE, PUBLISHED)
    line = {"architecture": list(PUBLISHED), "status": "ok"}
    for content in ({**a.to_json(), "fitness": 0.3}, list(PUBLISHED), line):
        path = write(tmp_path, content)
        assert Architecture.parse(path, SPACE) == Architecture.parse(str(path), SPACE) == a


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *((text, r"can't read .*no JSON: ") for text in ("", "{", "[" * 100_000)),
        ("3", "holds 3; expected an object with the key"),
        ({"fitness": 1}, r'no key "architecture" among its keys \(fitness\)'),
        ({"space": "1.3g", "architecture": []}, "got an architecture of space '1.3g'"),
        ({"architecture": "2,1"}, "'2,1' isn't a list of choices"),
        ({"architecture": [0] * 3}, "got 3 choices, expected 20"),
        ([0] * 19 + [9], "block 20 of 20"),
    ],
)
def test_wrong_files_are_named(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(ArchitectureError, match=message) as caught:
        Architecture.parse(str(path), SPACE)
    assert str(path) in str(caught.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(ArchitectureError, match="there is no file .*missing.json.*; give the"):
        Architecture.parse(tmp_path / "missing.json", SPACE)
    with pytest.raises(ArchitectureError, match=r"can't read .* \(Is a directory\)"):
        Architecture.parse(tmp_path, SPACE)
    (tmp_path / "model_final.pth").write_bytes(b"\x80\x02\xff\xfe")
    with pytest.raises(ArchitectureError, match="can't read .*model_final.pth' .no JSON"):
        Architecture.parse(tmp_path / "model_final.pth", SPACE)


def test_architectures_of_another_space_are_refused():
    with pytest.raises(ArchitectureError, match="got an architecture of space 'twin'"):
        Architecture.parse(Architecture(renamed(), PUBLISHED), SPACE)
    twin = SearchSpace("300m", SPACE.stem_channels + 2, SPACE.stages, SPACE.choices)
    with pytest.raises(ArchitectureError, match="of space '300m' with another definition"):
        Architecture.parse(Architecture(twin, PUBLISHED), SPACE)
