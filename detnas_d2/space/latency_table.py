"""Measured latency: the file that `python -m detnas_d2.evaluation.latency` writes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..files import parse_json
from ..rules import number
from ._values import as_tuple
from .block_cost import BlockCost
from .cost import checked_size
from .errors import SpaceError
from .space import SearchSpace

LATENCY_ERROR = 0.1
"""A table whose median error on whole networks is larger is warned of."""
_HOW = "make it anew: python -m detnas_d2.evaluation.latency SPACE --output FILE"
_MILLISECONDS = number("ms", zero=True)


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
                f"the latency table was measured at {self.input_size} pixels, but the search "
                f"counts costs at {size} (search.input_size); make them equal"
            )
        if [[n is not None for n in row] for row in self.block_ms] != space.allowed.tolist():
            raise SpaceError(f"the latency table has figures for other choices; {_HOW}")
        rows = [[float(n or 0) for n in row] for row in self.block_ms]
        return BlockCost(space, "ms of latency", rows, float(self.constant_ms))

    @property
    def is_far_off(self) -> bool:
        """Whether its median error is over LATENCY_ERROR, as far as the check tells."""
        error = self.check.get("median_error")
        return isinstance(error, (int, float)) and error > LATENCY_ERROR

    def to_json(self) -> dict[str, Any]:
        """The file's content."""
        return asdict(self)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> LatencyTable:
        """The table of a file.

        Raises:
            SpaceError: it can't be read, or isn't what the command writes.
        """
        try:
            return cls._parse(parse_json(Path(path).read_bytes()))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SpaceError(
                f"the latency table {os.fspath(path)!r} can't be read ({reason}); {_HOW}"
            ) from None

    @classmethod
    def _parse(cls, content: Any) -> LatencyTable:
        names = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or set(content) != names:
            found = sorted(content) if isinstance(content, dict) else type(content).__name__
            raise SpaceError(f"expected an object with the keys {sorted(names)}, got {found}")
        if not isinstance(content["check"], dict):
            raise SpaceError(f"check is {content['check']!r}; expected an object")
        rows = tuple(as_tuple(row) or () for row in as_tuple(content["block_ms"]) or ())
        figures = [(f"block_ms[{i}]", n) for i, row in enumerate(rows) for n in row]
        figures = [(what, n) for what, n in figures if n is not None]  # does not fit
        for what, value in [("constant_ms", content["constant_ms"]), *figures]:
            if not _MILLISECONDS.allows(value):
                raise SpaceError(f"{what} has {value!r}; expected {_MILLISECONDS.text}")
        size = checked_size(content["input_size"])
        return cls(**{**content, "input_size": size, "block_ms": rows})
