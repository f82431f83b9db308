"""The text of a ledger: its header, its lines, and what a crash can leave of the last one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..space import Architecture, SearchSpace
from .errors import LedgerError, LedgerMismatch
from .record import Evaluation

VERSION = 1


def make_header(
    space: SearchSpace, config_hash: str, checkpoint_hash: str, seed: int
) -> dict[str, Any]:
    """The header: whatever the fitness and the order of the candidates depend on."""
    return {
        "space": space.name,
        "space_fingerprint": space.fingerprint,
        "config_hash": config_hash,
        "checkpoint_hash": checkpoint_hash,
        "seed": seed,
        "version": VERSION,
    }


def is_header_alone(content: bytes) -> bool:
    """Whether this is a ledger in which nothing was evaluated yet."""
    try:
        record = json.loads(content) if content.endswith(b"\n") else None
    except ValueError:
        return False
    return (
        isinstance(record, dict)
        and list(record) == ["header"]
        and isinstance(record["header"], dict)
    )


def read_ledger(
    path: str | os.PathLike[str], space: SearchSpace
) -> tuple[dict[str, Any], list[Evaluation]]:
    """Header and evaluations of a ledger, e.g. for a report, also while a search writes to it.

    The file is left as it is: a torn last line is passed over. Raises OSError, and LedgerError
    for a damaged line.
    """
    path = Path(path)
    lines, _ = complete_lines(path.read_bytes())
    header = _parse_header(path, lines)
    return header, list(parse_evaluations(path, lines, space))


def to_line(record: Mapping[str, Any]) -> bytes:
    """One line. Raises ValueError for NaN and infinity, which JSON lacks."""
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def header_line(header: Mapping[str, Any]) -> bytes:
    return to_line({"header": dict(header)})


def complete_lines(content: bytes) -> tuple[list[bytes], int]:
    """The lines without a torn last one, and the offset of their end."""
    end = content.rfind(b"\n") + 1
    lines = content[:end].split(b"\n")[:-1]
    # a crash of the machine can also leave zeros in the place of the last line
    if len(lines) > 1 and end == len(content):
        try:
            _loads(lines[-1])
        except ValueError:
            end -= len(lines.pop()) + 1
    return lines, end


def check_header(path: Path, lines: list[bytes], expected: Mapping[str, Any]) -> None:
    """Raise LedgerMismatch unless the first line is the expected header."""
    found = _parse_header(path, lines)
    wanted = json.loads(header_line(expected))["header"]  # tuples are lists in a file
    differing = {
        name: (found.get(name), wanted.get(name))
        for name in dict.fromkeys([*found, *wanted])
        if found.get(name) != wanted.get(name)
    }
    if differing:
        raise LedgerMismatch(path, differing)


def parse_evaluations(path: Path, lines: list[bytes], space: SearchSpace) -> Iterator[Evaluation]:
    """The evaluations after the header. Raises LedgerError, which names file and line."""
    seen: dict[Architecture, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            evaluation = Evaluation.from_json(_loads(line), space)
            first = seen.setdefault(evaluation.architecture, number)
            if first != number:
                raise ValueError(f"the same architecture as in line {first}")
        except ValueError as error:
            raise LedgerError(
                f"{path}, line {number} is damaged: {error}. Restore the file from a copy, or "
                "delete this line: its architecture is then evaluated again."
            ) from error
        yield evaluation


def _parse_header(path: Path, lines: list[bytes]) -> dict[str, Any]:
    try:
        header = _loads(lines[0])["header"] if lines else None
    except (ValueError, TypeError, KeyError):
        header = None
    if not isinstance(header, dict):
        raise LedgerError(
            f"{path}, line 1 is not the header of a ledger. Restore the file from a copy, or "
            "choose another output folder."
        )
    return header


def _loads(line: bytes) -> Any:
    return json.loads(line, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
