"""Measured latency: the file that `python -m detnas_d2.evaluation.latency` writes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from .block_cost import BlockCost
from .choices import check_positive
from .cost import checked_size
from .errors import SpaceError
from .space import SearchSpace

_HOW = "make it anew: python -m detnas_d2.evaluation.latency SPACE --output FILE"


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of one forward of the body in eval mode, by block and choice.

    space, fingerprint: name and fingerprint of the space. input_size: (height, width) in pixels.
    batch_size: images in a forward. device: "cpu" or "cuda". device_name, threads, torch: what it
    was measured on. constant_ms: the stem. block_ms: (L, C), L blocks and C choices; None where
    the choice doesn't fit the block.
    check: whole networks that it was not made from, beside what it says of them.
    """

    space: str
    fingerprint: str
    input_size: tuple[int, int]
    batch_size: int
    device: str
    device_name: str
    threads: int
    torch: str
    constant_ms: float
    block_ms: tuple[tuple[float | None, ...], ...]
    check: Mapping[str, Any]

    def cost(self, space: SearchSpace, input_size: Sequence[int]) -> BlockCost[float]:
        """The latency of architectures.

        Raises:
            SpaceError: the table is of another space or input size.
        """
        size = checked_size(input_size)
        if self.fingerprint != space.fingerprint:
            raise SpaceError(
                f"the latency table is of space {self.space!r} ({self.fingerprint}), not of "
                f"{space.name!r} ({space.fingerprint}); {_HOW}"
            )
        if size != self.input_size:
            raise SpaceError(
                f"the latency table was measured at {_by(self.input_size)} pixels, but the search "
                f"counts costs at {_by(size)} (search.input_size); make them equal"
            )
        shape = {len(row) for row in self.block_ms}
        if len(self.block_ms) != space.num_blocks or shape != {space.num_choices}:
            raise SpaceError(
                f"the latency table has {len(self.block_ms)} rows of {sorted(shape)} figures; "
                f"expected {space.num_blocks} of {space.num_choices}; {_HOW}"
            )
        if [[n is not None for n in row] for row in self.block_ms] != space.allowed.tolist():
            raise SpaceError(f"the latency table has figures for other choices; {_HOW}")
        rows = [[0.0 if n is None else n for n in row] for row in self.block_ms]
        return BlockCost(space, "ms of latency", rows, self.constant_ms)

    def to_json(self) -> dict[str, Any]:
        """The file's content."""
        return asdict(self)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> LatencyTable:
        """The table of a file.

        Raises:
            SpaceError: it can't be read, or isn't what the command writes; it names the place.
        """
        name = os.fspath(path)
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
        except OSError as error:
            raise SpaceError(
                f"the latency table {name!r} can't be read ({error.strerror}); {_HOW}"
            ) from None
        except (ValueError, RecursionError) as error:
            raise SpaceError(f"{name}: not a JSON file ({error}); {_HOW}") from None
        try:
            return cls._parse(content)
        except SpaceError as error:
            raise SpaceError(f"{name}: not a latency table: {error}; {_HOW}") from None

    @classmethod
    def _parse(cls, content: Any) -> LatencyTable:
        names = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or set(content) != names:
            found = sorted(content) if isinstance(content, dict) else type(content).__name__
            raise SpaceError(f"expected an object with the keys {sorted(names)}, got {found}")
        values = dict(content)
        for key in ("space", "fingerprint", "device", "device_name", "torch"):
            if not isinstance(values[key], str):
                raise SpaceError(f"{key} is {values[key]!r}; expected a text")
        for key in ("batch_size", "threads"):
            check_positive(values[key], key)
        if not isinstance(values["check"], dict):
            raise SpaceError(f"check is {values['check']!r}; expected an object")
        values["input_size"] = checked_size(values["input_size"])
        values["constant_ms"] = _milliseconds(values["constant_ms"], "constant_ms")
        rows = values["block_ms"]
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise SpaceError("block_ms isn't a list of lists")
        values["block_ms"] = tuple(
            tuple(
                None if n is None else _milliseconds(n, f"block_ms[{i}][{j}]")
                for j, n in enumerate(row)
            )
            for i, row in enumerate(rows)
        )
        return cls(**values)


def _milliseconds(value: Any, what: str) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < math.inf:
        raise SpaceError(f"{what} is {value!r}; expected a finite number of at least 0")
    return float(value)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
