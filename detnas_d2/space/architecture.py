"""One architecture of a space: which choice each block takes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import contains
from typing import Any

from ._values import as_int, as_tuple, from_config
from .errors import ArchitectureError
from .space import SearchSpace

# A text of these characters is a list of choices; any other text is the path of a file.
_LIST_TEXT = re.compile(r"[\s0-9,+\-\[\]()]*")
_HOW = (
    "give the choices as 2,1,2,0,... or a list of integers, or the path of a best_architecture.json"
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """
    An immutable, hashable architecture; equal ones are the same network of the same space.

    Args:
        choices: one index into space.choices for each of space.blocks, from the stem on.

    Raises:
        ArchitectureError: for a wrong length (expected and got) or a wrong choice (its block,
            value and valid range).
    """

    space: SearchSpace
    choices: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.space, SearchSpace):
            raise TypeError(f"an Architecture's space is {self.space!r}; expected a SearchSpace")
        if _is_checked(self.choices, self.space):
            return
        items = as_tuple(self.choices)
        if items is None:
            raise ArchitectureError(
                f"{_of(self.space)}: {_short(self.choices)} isn't a list of choices; {_HOW}"
            )
        choices = []
        for i, item in enumerate(items[: self.space.num_blocks]):
            choice = as_int(item)
            if choice is None or choice not in self.space.options[i]:
                raise ArchitectureError(_wrong_choice(self.space, i, item))
            choices.append(choice)
        if len(items) != self.space.num_blocks:
            per_stage = "+".join(str(stage.blocks) for stage in self.space.stages)
            raise ArchitectureError(
                f"{_of(self.space)}: got {len(items)} choices, expected "
                f"{self.space.num_blocks} ({per_stage} blocks)"
            )
        object.__setattr__(self, "choices", tuple(choices))

    def __hash__(self) -> int:
        return hash(self.choices)  # not the space's, which would cost more than the rest

    @classmethod
    def parse(cls, value: Any, space: SearchSpace) -> Architecture:
        """
        An architecture of `space` from any of its forms.

        Args:
            value: an Architecture, a sequence of integers, a text such as "2,1,2,0" or
                "[2, 1, 2, 0]", the mapping of to_json() or of a ledger's line, or the path of a
                JSON file that holds a mapping or list of this kind.

        Raises:
            ArchitectureError: for what can't be read, or belongs to another space.
        """
        value = from_config(value)
        if isinstance(value, Architecture):
            if value.space != space:
                raise ArchitectureError(
                    f"{_of(space)}: got an architecture of space {value.space.name!r}"
                    + (" with another definition" if value.space.name == space.name else "")
                )
            return value
        if isinstance(value, os.PathLike):
            return cls._read(os.fspath(value), space)
        if isinstance(value, str):
            if not value.strip():
                raise ArchitectureError(f"{_of(space)}: the text is empty; {_HOW}")
            if _LIST_TEXT.fullmatch(value):
                return cls(space, _parse_list(value, space))
            return cls._read(value, space)
        if isinstance(value, Mapping):
            return cls.from_json(value, space)
        return cls(space, value)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], space: SearchSpace) -> Architecture:
        """
        The inverse of to_json(); other keys, as in best_architecture.json, are ignored.

        Raises:
            ArchitectureError: if "architecture" is missing or wrong, or "space" is another one.
        """
        name = value.get("space", space.name)
        if name != space.name:
            raise ArchitectureError(
                f"{_of(space)}: got an architecture of space {name!r}; take the space that it "
                "was searched in"
            )
        if "architecture" not in value:
            keys = ", ".join(map(str, value)) or "none"
            raise ArchitectureError(f'{_of(space)}: no key "architecture" among its keys ({keys})')
        return cls(space, value["architecture"])

    @classmethod
    def _read(cls, path: str | bytes, space: SearchSpace) -> Architecture:
        path = os.fsdecode(path)
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
        except FileNotFoundError:
            raise ArchitectureError(f"{_of(space)}: there is no file {path!r}; {_HOW}") from None
        except OSError as error:
            raise ArchitectureError(
                f"{_of(space)}: can't read {path!r} ({error.strerror}); {_HOW}"
            ) from None
        except (ValueError, RecursionError) as error:  # bad JSON, bad UTF-8, a NUL in the path
            raise ArchitectureError(
                f"{_of(space)}: {path!r} isn't a JSON file ({error}); {_HOW}"
            ) from None
        if not isinstance(content, (dict, list)):
            raise ArchitectureError(
                f"{_of(space)}: {path!r} holds {_short(content)}; expected an object with the key "
                '"architecture" or a list of integers'
            )
        try:
            return cls.parse(content, space)
        except ArchitectureError as error:
            raise ArchitectureError(f"{path}: {error}") from None

    def to_json(self) -> dict[str, Any]:
        """{"space": name, "architecture": [...]}, as in best_architecture.json."""
        return {"space": self.space.name, "architecture": list(self.choices)}

    def __str__(self) -> str:
        return ",".join(map(str, self.choices))

    def __iter__(self) -> Iterator[int]:
        return iter(self.choices)

    def __len__(self) -> int:
        return len(self.choices)

    def __getitem__(self, block: int) -> int:
        """The choice of a block, which counts from 0."""
        return self.choices[block]


def _is_checked(choices: Any, space: SearchSpace) -> bool:
    """Whether it is a tuple of ints of the right length and range; quick, for it nearly always is.

    bool is a type of its own here.
    """
    return (
        type(choices) is tuple
        and len(choices) == space.num_blocks
        and set(map(type, choices)) == {int}
        and min(choices) >= 0
        and max(choices) < space.num_choices
        and (space.fits_all or all(map(contains, space.options, choices)))
    )


def _of(space: SearchSpace) -> str:
    return f"architecture of space {space.name!r}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _wrong_choice(space: SearchSpace, index: int, value: Any) -> str:
    block, options = space.blocks[index], space.options[index]
    names = ", ".join(f"{i}: {space.choices[i].name}" for i in options)
    choice = as_int(value)
    if choice is not None and 0 <= choice < space.num_choices:
        what = f"{choice} ({space.choices[choice].name}), which doesn't fit its shape"
        expected = f"one of {names}"
    else:
        what, expected = _short(value), f"an integer from 0 to {space.num_choices - 1} ({names})"
    return (
        f"{_of(space)}: block {index + 1} of {space.num_blocks} ({space.stage_names[block.stage]}, "
        f"its block {block.index_in_stage + 1}) has choice {what}; expected {expected}"
    )


def _parse_list(text: str, space: SearchSpace) -> tuple[int, ...]:
    """Integers between commas, with blanks and one pair of brackets around them allowed."""
    body = text.strip()
    if (body[0], body[-1]) in (("[", "]"), ("(", ")")):
        body = body[1:-1].strip()
    body = body.removesuffix(",")
    choices = []
    for i, part in enumerate(body.split(",") if body else ()):
        try:
            choices.append(int(part))
        except ValueError:
            raise ArchitectureError(
                f"{_of(space)}: position {i + 1} of the list is {_short(part.strip())}; expected "
                "an integer, with a comma between two"
            ) from None
    return tuple(choices)
