"""Architectures out of anything: one of the space, or an ArchitectureError that names the space."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SPACE

from detnas_d2.space import Architecture, ArchitectureError

LENGTH = SPACE.num_blocks
fuzz = settings(max_examples=150, derandomize=True, deadline=None)
valid = st.tuples(*(st.sampled_from(options) for options in SPACE.options))
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


def parsed(value: object) -> Architecture | None:
    """None where it is refused, rightly."""
    try:
        found = Architecture.parse(value, SPACE)
    except ArchitectureError as error:
        assert "architecture" in str(error)
        return None
    assert len(found.choices) == LENGTH
    assert all(
        type(c) is int and c in options
        for c, options in zip(found.choices, SPACE.options, strict=True)
    )
    return found


@fuzz
@given(valid)
def test_all_forms_of_one_give_it(choices):
    architecture = Architecture(SPACE, choices)
    text = ",".join(map(str, choices))
    for form in (choices, list(choices), text, architecture, f"[{text}]"):
        assert parsed(form) == architecture


@fuzz
@given(values | st.lists(scalars, min_size=LENGTH, max_size=LENGTH))
def test_anything(value):
    found = parsed(value)
    if found is not None and not isinstance(value, str):
        assert list(found.choices) == list(value)  # nothing was rounded or cut


@fuzz
@given(valid, st.integers(0, LENGTH - 1), scalars)
def test_one_wrong_choice(choices, place, wrong):
    changed = [*choices[:place], wrong, *choices[place + 1 :]]
    found = parsed(changed)
    assert (found is not None) == (type(wrong) is int and wrong in SPACE.options[place])


@fuzz
@given(st.text(alphabet="0123,.-[] e\n", max_size=20))
def test_text_that_is_nearly_one(text):
    found = parsed(text)
    if found is not None:
        assert parsed(",".join(map(str, found.choices))) == found


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "best_architecture.json"


@fuzz
@given(content=st.binary(max_size=60) | values.map(lambda v: json.dumps(v, default=str).encode()))
def test_a_file_of_anything(file, content):
    file.write_bytes(content)
    parsed(str(file))


@fuzz
@given(valid, st.data())
def test_a_damaged_file(file, choices, data):
    """A byte that is changed, or a cut: the same architecture, another that the text says, or an
    error."""
    written = json.dumps(Architecture(SPACE, choices).to_json()).encode()
    place = data.draw(st.integers(0, len(written) - 1))
    file.write_bytes(
        data.draw(
            st.sampled_from(
                [
                    written[:place],
                    written[:place]
                    + bytes([data.draw(st.integers(0, 255))])
                    + written[place + 1 :],
                ]
            )
        )
    )
    found = parsed(str(file))
    if found is not None:
        record = json.loads(file.read_bytes())
        assert list(found.choices) == record["architecture"]
