"""The text of a ledger: its header, its lines, and what a crash can leave of the last one.

Each line is a JSON object that ends with the key ``crc32``, the CRC-32 (zlib's, unsigned) of the
line's bytes without that key: of what stands before ``, "crc32": `` and a ``}``. So a reader checks
it by::

    content, _, crc32 = line.rstrip(b"\\n").rpartition(b', "crc32": ')
    intact = zlib.crc32(content + b"}") == int(crc32.removesuffix(b"}"))

A line's text is that of ``json.dumps``, so that Python has the same from the object:
``zlib.crc32(json.dumps(record).encode()) == crc32`` after ``crc32 = record.pop("crc32")``.
"""

from __future__ import annotations

import json
import os
import shlex
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..space import Architecture, SearchSpace
from .errors import LedgerError, LedgerMismatch
from .record import Evaluation

VERSION = 2
_CHECKSUM = b', "crc32": '


def make_header(
    space: SearchSpace, config_hash: str, checkpoint_hash: str, seed: int
) -> dict[str, Any]:
    """The header: whatever the fitness and the order of the candidates depend on.

    None in it stands for what is not known; it agrees with everything.
    """
    return {
        "space": space.name,
        "space_fingerprint": space.fingerprint,
        "config_hash": config_hash,
        "checkpoint_hash": checkpoint_hash,
        "seed": seed,
        "version": VERSION,
    }


def is_header_alone(content: bytes) -> bool:
    """Whether this is a ledger, of any version, in which nothing was evaluated yet."""
    try:
        return content.endswith(b"\n") and list(parse_line(content[:-1])) == ["header"]
    except (ValueError, TypeError, RecursionError):
        return False


def read_ledger(
    path: str | os.PathLike[str], space: SearchSpace
) -> tuple[dict[str, Any], list[Evaluation]]:
    """Header and evaluations of a ledger, e.g. for a report, also while a search writes to it.

    The file is left as it is: a torn last line is passed over. Of an architecture that failed and
    was tried again, the last evaluation is given. Raises OSError, and LedgerError for a damaged
    line, another version or another space.
    """
    path = Path(path)
    lines, _ = complete_lines(path.read_bytes())
    header = _parse_header(path, lines)
    if header.get("version", VERSION) != VERSION:
        raise LedgerError(
            f"{path} is a ledger of version {header['version']}; this detnas_d2 reads version "
            f"{VERSION}. Read it with the one that wrote it."
        )
    if header.get("space_fingerprint", space.fingerprint) != space.fingerprint:
        raise LedgerError(
            f"{path} is of a search in space {header.get('space')!r}, defined otherwise than "
            f"{space.name!r} here; give a ledger of this space."
        )
    return header, list(parse_evaluations(path, lines, space).values())


def to_line(record: Mapping[str, Any]) -> bytes:
    """One line. Raises ValueError for NaN and infinity, which JSON lacks."""
    return _with_checksum(json.dumps(record, allow_nan=False).encode()) + b"\n"


def header_line(header: Mapping[str, Any]) -> bytes:
    return to_line({"header": dict(header)})


def complete_lines(content: bytes) -> tuple[list[bytes], int]:
    """The lines without a torn last one, and the offset of their end."""
    end = content.rfind(b"\n") + 1
    lines = content[:end].split(b"\n")[:-1]
    # a crash of the machine can leave zeros in the place of what was not on the disk yet
    while len(lines) > 1 and b"\0\0" in lines[-1]:
        end -= len(lines.pop()) + 1
    return lines, end


def check_header(path: Path, lines: list[bytes], expected: Mapping[str, Any]) -> None:
    """Raise LedgerMismatch unless the first line is the expected header, LedgerError if it is
    damaged."""
    line = header_line(expected)
    found = _parse_header(path, lines, line)
    wanted = json.loads(line)["header"]  # tuples are lists in a file
    differing = {
        name: (found.get(name), wanted.get(name))
        for name in dict.fromkeys([*found, *wanted])
        if name not in found
        or name not in wanted
        or (found[name] != wanted[name] and None not in (found[name], wanted[name]))
    }
    if differing:
        raise LedgerMismatch(path, differing)


def parse_evaluations(
    path: Path,
    lines: list[bytes],
    space: SearchSpace,
    damaged: Callable[[int, Exception], object] | None = None,
) -> dict[Architecture, Evaluation]:
    """The evaluations after the header. A damaged line is passed over, its number and error given
    to `damaged`; without that LedgerError is raised, which names file and line."""
    evaluations: dict[Architecture, Evaluation] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            add(evaluations, Evaluation.from_json(parse_line(line), space))
        except (ValueError, OverflowError, RecursionError) as error:
            if damaged is not None:
                damaged(number, error)
                continue
            raise LedgerError(
                f"{path}, line {number} is damaged: {error}. Restore the file from a copy, or "
                f"delete this line (sed -i {number}d {shlex.quote(str(path))}): its architecture "
                "is then evaluated again."
            ) from error
    return evaluations


def add(evaluations: dict[Architecture, Evaluation], new: Evaluation) -> None:
    """Put it at the end; an earlier one that failed gives way. Raises ValueError for one that did
    not fail."""
    old = evaluations.get(new.architecture)
    if old is not None and old.ok:
        raise ValueError(f"architecture {new.architecture} was evaluated before")
    evaluations.pop(new.architecture, None)
    evaluations[new.architecture] = new


def _parse_header(
    path: Path, lines: list[bytes], wanted_line: bytes | None = None
) -> dict[str, Any]:
    """Raises LedgerError, which gives the wanted line, if any, to be put in its place."""
    line = lines[0] if lines else b""
    try:
        record = parse_line(line)
        if not isinstance(record, dict) or not isinstance(record.get("header"), dict):
            raise ValueError("it is another JSON object")
        header: dict[str, Any] = record["header"]
        return header
    except (ValueError, RecursionError) as error:
        mend = (
            "resume its search, which says what this line has to be"
            if wanted_line is None
            else "choose another output folder; or, if you know that it is of this very search, "
            f"put this in the place of line 1:\n{wanted_line.decode().rstrip()}"
        )
        raise LedgerError(
            f"{path}, line 1 is not the header of a ledger, or damaged: {error}. Restore the file "
            f"from a copy, or {mend}"
        ) from error


def _with_checksum(text: bytes) -> bytes:
    """A JSON object's text with the checksum as its last key."""
    return b"%b%b%d}" % (text[:-1], _CHECKSUM, zlib.crc32(text))


def parse_line(line: bytes) -> Any:
    """A line's object without its checksum. Raises ValueError if a byte of it was changed."""
    text = line.rpartition(_CHECKSUM)[0] + b"}"
    if line != _with_checksum(text):
        raise ValueError("its checksum (crc32) is missing or not that of the line")
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
