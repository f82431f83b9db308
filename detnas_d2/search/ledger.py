"""The ledger: one JSON line for each evaluated architecture, written before it counts.

It is the search's only state. The first line is a header that names what the fitness depends on;
each further line is an Evaluation, and each has a checksum (see ledger_format). Lines are only ever
appended. What a crash can leave behind, a torn last line, is cut off when the ledger is opened
again; any other damage, down to a single byte, is an error that names the line.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..files import sync_directory
from ..space import Architecture, SearchSpace
from .errors import LedgerError
from .ledger_format import (
    add,
    check_header,
    complete_lines,
    header_line,
    is_header_alone,
    parse_evaluations,
    to_line,
)
from .record import Evaluation

logger = logging.getLogger(__name__)

LEDGER_FILE = "ledger.jsonl"
SYNC_SECONDS = 0.1
"""A sync (fsync) takes milliseconds, so a candidate that took less waits for the next line's."""


class Ledger:
    """The evaluated architectures of one search, in the order of their (last) lines.

    Args:
        path: the file; made, with its folder, where missing. One process at a time may have it
            open: search_net.py holds its folder's lock.
        header: JSON builtins, see make_header.
        space: the space of the architectures.
        resume: go on with an existing ledger. Without it an existing ledger is refused, so that
            a forgotten output folder never mixes two searches.

    Raises LedgerMismatch for another header, LedgerError for a damaged line, an existing ledger
    without `resume`, or a file that can't be written, OSError for one that can't be opened. Use it
    as a context manager, or close() it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: Mapping[str, Any],
        space: SearchSpace,
        *,
        resume: bool = False,
    ):
        self.path = Path(path)
        self._evaluations: dict[Architecture, Evaluation] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "ab+", buffering=0)  # noqa: SIM115  close() does
        try:
            self._load(header, space, resume)
        except BaseException:
            self.close()
            raise

    def get(self, architecture: Architecture) -> Evaluation | None:
        return self._evaluations.get(architecture)

    def __len__(self) -> int:
        return len(self._evaluations)

    def __iter__(self) -> Iterator[Evaluation]:
        return iter(self._evaluations.values())

    def append(self, evaluation: Evaluation) -> None:
        """Write one line; if its evaluation took SYNC_SECONDS, bring all lines to the disk.

        What was not, outlives this process, but not a power failure: it is then evaluated again.
        An evaluation that failed gives way to a later one of its architecture.

        Raises LedgerError if it can't be written: the ledger is closed, and all lines before it
        are kept. ValueError if the architecture is in the ledger already and did not fail, or if
        the ledger is closed.
        """
        add(self._evaluations, evaluation)
        self._write(to_line(evaluation.to_json()), sync=evaluation.seconds >= SYNC_SECONDS)

    def close(self) -> None:
        """A second call does nothing."""
        self._file.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _load(self, header: Mapping[str, Any], space: SearchSpace, resume: bool) -> None:
        content = self.path.read_bytes()
        first_line = header_line(header)
        if first_line.startswith(content) or is_header_alone(content):
            # new, or of a search that failed to start: nothing is lost
            os.ftruncate(self._file.fileno(), 0)
            self._write(first_line, sync=True)
            sync_directory(self.path.parent)
            return
        if not resume:
            raise LedgerError(
                f"{self.path} holds a search already. Pass --resume to go on with it, or choose "
                "another output folder."
            )
        lines, end = complete_lines(content)
        check_header(self.path, lines, header)
        self._evaluations = parse_evaluations(self.path, lines, space)
        if end < len(content):
            logger.warning(
                "%s: its last line is torn (the writer was killed, or the disk was full). Its "
                "%d bytes are cut off; what it was about is evaluated again.",
                *(self.path, len(content) - end),
            )
            os.ftruncate(self._file.fileno(), end)

    def _write(self, line: bytes, sync: bool) -> None:
        descriptor = self._file.fileno()
        try:
            while line:  # a nearly full disk takes a part of it and refuses the rest
                line = line[os.write(descriptor, line) :]
            if sync:
                os.fsync(descriptor)
        except BaseException as error:
            self.close()  # a torn line is cut off when the ledger is opened again
            if isinstance(error, OSError):
                raise LedgerError(
                    f"can't write to {self.path}: {error.strerror}. The evaluations in it are "
                    "kept. Make room or make the folder writable, then go on with --resume: what "
                    "did not reach the disk is evaluated again."
                ) from error
            raise
