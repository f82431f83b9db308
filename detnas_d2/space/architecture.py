"""One architecture of a space: which choice each block takes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import contains
from pathlib import Path
from typing import Any

from ..files import parse_json
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
        if _is_checked(self.choices, self.space):
            return
        items = as_tuple(self.choices)
        if items is None:
            raise _error(self.space, f"{_short(self.choices)} isn't a list of choices; {_HOW}")
        choices = []
        for i, item in enumerate(items[: self.space.num_blocks]):
            choice = as_int(item)
            if choice is None or choice not in self.space.options[i]:
                raise _error(self.space, _wrong_choice(self.space, i, item))
            choices.append(choice)
        if len(items) != self.space.num_blocks:
            per_stage = "+".join(str(stage.blocks) for stage in self.space.stages)
            expected = f"expected {self.space.num_blocks} ({per_stage} blocks)"
            raise _error(self.space, f"got {len(items)} choices, {expected}")
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
                other = " with another definition" if value.space.name == space.name else ""
                raise _error(space, f"got an architecture of space {value.space.name!r}{other}")
            return value
        if isinstance(value, str) and _LIST_TEXT.fullmatch(value):
            return cls(space, _parse_list(value, space))
        if isinstance(value, (str, os.PathLike)):
            return cls._read(os.fsdecode(value), space)
        if not isinstance(value, Mapping):
            return cls(space, value)
        name = value.get("space", space.name)
        if name != space.name:
            what = f"got an architecture of space {name!r}; take the space that it was searched in"
            raise _error(space, what)
        if "architecture" not in value:
            keys = ", ".join(map(str, value)) or "none"
            raise _error(space, f'no key "architecture" among its keys ({keys})')
        return cls(space, value["architecture"])

    @classmethod
    def _read(cls, path: str, space: SearchSpace) -> Architecture:
        try:
            content = parse_json(Path(path).read_bytes())
        except FileNotFoundError:
            raise _error(space, f"there is no file {path!r}; {_HOW}") from None
        except (OSError, ValueError) as error:  # no JSON, bad UTF-8, a NUL in the path
            reason = error.strerror if isinstance(error, OSError) else f"no JSON: {error}"
            raise _error(space, f"can't read {path!r} ({reason}); {_HOW}") from None
        if not isinstance(content, (dict, list)):
            expected = 'expected an object with the key "architecture" or a list of integers'
            raise _error(space, f"{path!r} holds {_short(content)}; {expected}")
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
    """Whether it is a tuple of ints (no bools) that fit; quick, for it nearly always is."""
    return (
        type(choices) is tuple
        and len(choices) == space.num_blocks
        and set(map(type, choices)) == {int}
        and all(map(contains, space.options, choices))
    )


def _error(space: SearchSpace, what: str) -> ArchitectureError:
    return ArchitectureError(f"architecture of space {space.name!r}: {what}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _wrong_choice(space: SearchSpace, index: int, value: Any) -> str:
    names = ", ".join(f"{i}: {space.choices[i].name}" for i in space.options[index])
    return (
        f"block {index + 1} of {space.num_blocks} ({space.blocks[index]}) has choice "
        f"{_short(value)}; expected one of those that fit its shape ({names})"
    )


def _parse_list(text: str, space: SearchSpace) -> tuple[int, ...]:
    """Integers between commas, with blanks and brackets around them allowed."""
    body = text.strip().strip("[]()").strip().removesuffix(",")
    try:
        return tuple(map(int, body.split(","))) if body else ()
    except ValueError:
        what = f"{_short(text)} isn't a list of integers with a comma between two; {_HOW}"
        raise _error(space, what) from None
