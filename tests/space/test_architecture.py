"""Architectures: forms that round-trip, equality, and errors that name the position."""

import copy
import dataclasses
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detnas_d2.space import SPACES, Architecture, ArchitectureError, get_space

SPACE = get_space("300m")
PUBLISHED = (2, 1, 2, 0, 2, 1, 1, 2, 3, 3, 1, 3, 0, 0, 3, 1, 3, 1, 3, 2)
TWIN = dataclasses.replace(SPACE, name="twin")
WIDER = dataclasses.replace(SPACE, stem_channels=SPACE.stem_channels + 2)


@st.composite
def architectures(draw):
    space = SPACES[draw(st.sampled_from(sorted(SPACES)))]
    choice = st.integers(0, space.num_choices - 1)
    return Architecture(
        space, tuple(draw(st.lists(choice, min_size=space.num_blocks, max_size=space.num_blocks)))
    )


@given(architectures())
def test_every_form_round_trips(a):
    forms = [
        *(str(a), str(list(a)), f" {str(a).replace(',', ', ')},\n", list(a)),
        *(np.array(a.choices, np.int8), json.loads(json.dumps(a.to_json()))),
        *(pickle.loads(pickle.dumps(a)), copy.deepcopy(a)),
    ]
    for form in forms:
        parsed = Architecture.parse(form, a.space)
        assert parsed == a and hash(parsed) == hash(a)
        assert all(type(choice) is int for choice in parsed)


def test_equality_means_the_same_network():
    a = Architecture(SPACE, PUBLISHED)
    assert str(a) == "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2"
    assert a != Architecture(SPACE, PUBLISHED[:-1] + (0,)) and a != PUBLISHED
    assert a != Architecture(TWIN, PUBLISHED)


@given(st.text() | st.lists(st.integers()) | st.none() | st.floats() | st.binary())
def test_whatever_comes_in_ends_in_a_clear_error(value):
    with pytest.raises(ArchitectureError, match="architecture of space '300m': "):
        Architecture.parse(value, SPACE)


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
        (Architecture(TWIN, PUBLISHED), "got an architecture of space 'twin'"),
        (Architecture(WIDER, PUBLISHED), "of space '300m' with another definition"),
    ],
)
def test_wrong_architectures_are_told_by_their_position(value, message):
    with pytest.raises(ArchitectureError, match=message):
        Architecture.parse(value, SPACE)


def test_files(tmp_path):
    a, path = Architecture(SPACE, PUBLISHED), tmp_path / "best_architecture.json"
    line = {"architecture": list(PUBLISHED), "status": "ok"}
    for content in ({**a.to_json(), "fitness": 0.3}, list(PUBLISHED), line):
        path.write_text(json.dumps(content))
        assert Architecture.parse(path, SPACE) == Architecture.parse(str(path), SPACE) == a
