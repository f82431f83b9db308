"""The ledger: one JSON line for each evaluated architecture, on the disk before it counts.

It is the search's only state. The first line is a header that names what the fitness depends on;
each further line is an Evaluation. Lines are only ever appended. What a crash can leave behind, a
torn last line, is cut off when the ledger is opened again; any other damage is an error, for it
means that something else wrote to the file.
"""

from __future__ import annotations

import fcntl
import logging
import os
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..files import sync_directory
from ..space import Architecture, SearchSpace
from .errors import LedgerError, LedgerLocked
from .ledger_format import (
    check_header,
    complete_lines,
    header_line,
    is_header_alone,
    parse_evaluations,
    to_line,
)
from .record import Evaluation

logger = logging.getLogger(__name__)


class Ledger:
    """The evaluated architectures of one search, in the order in which they were appended.

    Args:
        path: the file; made, with its folder, where missing.
        header: JSON builtins, see make_header.
        space: the space of the architectures.
        resume: go on with an existing ledger. Without it an existing ledger is refused, so that
            a forgotten output folder never mixes two searches.

    Raises LedgerLocked where another process has it open, LedgerMismatch for another header,
    LedgerError for a damaged line, an existing ledger without `resume`, or a file that can't be
    opened or written. Use it as a context manager, or close() it.
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
        self.header = dict(header)
        self._evaluations: dict[Architecture, Evaluation] = {}
        self._end = 0  # offset of the end of the last whole line
        self._descriptor: int | None = _open_locked(self.path)
        _open_ledgers.add(self)
        try:
            self._load(space, resume)
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
        """Write one line and bring it to the disk; only then the evaluation counts.

        Raises LedgerError if it can't be written: what was written of the line is taken back, the
        ledger is closed, and all lines before it are kept. ValueError if the architecture is in
        the ledger already.
        """
        if evaluation.architecture in self._evaluations:
            raise ValueError(f"{self.path} has an evaluation of {evaluation.architecture} already")
        self._write(to_line(evaluation.to_json()))
        self._evaluations[evaluation.architecture] = evaluation

    def close(self) -> None:
        """Release the lock and the file. A second call does nothing."""
        _open_ledgers.discard(self)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _load(self, space: SearchSpace, resume: bool) -> None:
        content = self.path.read_bytes()
        if is_header_alone(content):  # a search that failed to start: nothing is lost
            os.ftruncate(self._require_open(), 0)
            content = b""
        if content and not resume:
            raise LedgerError(
                f"{self.path} holds a search already. Pass --resume to go on with it, or choose "
                "another output folder."
            )
        first_line = header_line(self.header)
        if content != first_line and first_line.startswith(content):
            # new, or killed while the header was being written: nothing was evaluated yet
            self._cut_to(0, len(content))
            self._write(first_line)
            sync_directory(self.path.parent)
            return
        lines, end = complete_lines(content)
        check_header(self.path, lines, self.header)
        for evaluation in parse_evaluations(self.path, lines, space):
            self._evaluations[evaluation.architecture] = evaluation
        self._cut_to(end, len(content))

    def _cut_to(self, end: int, size: int) -> None:
        self._end = end
        if end < size:
            logger.warning(
                "%s: its last line is torn (the writer was killed, or the disk was full). Its "
                "%d bytes are cut off; what it was about is evaluated again.",
                self.path,
                size - end,
            )
            os.ftruncate(self._require_open(), end)

    def _write(self, line: bytes) -> None:
        descriptor = self._require_open()
        try:
            left = memoryview(line)
            while left:  # a nearly full disk takes a part of the line and refuses the rest
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
            self._end += len(line)
        except BaseException as error:
            self._take_back(descriptor)
            if isinstance(error, OSError):
                raise LedgerError(
                    f"can't write to {self.path}: {error.strerror}. The {len(self)} evaluations "
                    "in it are kept. Make room or make the folder writable, then go on with "
                    "--resume."
                ) from error
            raise

    def _take_back(self, descriptor: int) -> None:
        try:
            os.ftruncate(descriptor, self._end)
        except OSError:
            logger.warning("%s: a torn last line stays until the next start", self.path)
        self.close()

    def _require_open(self) -> int:
        if self._descriptor is None:
            raise LedgerError(f"{self.path} is closed; open the ledger again with resume")
        return self._descriptor


def _open_locked(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise LedgerError(
            f"can't open {path} for writing: {error.strerror}. Choose an output folder that is "
            "writable."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise LedgerLocked(
            f"another search is running on {path}. Wait for it, stop it, or choose another output "
            "folder."
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise LedgerError(
            f"can't lock {path}: {error.strerror}. Choose an output folder on a file system that "
            "has locks."
        ) from error
    return descriptor


# A forked child (a data worker) would keep the lock after its parent was killed, and --resume
# would be refused until the child ended too. So children drop the file; the parent keeps both.
_open_ledgers: weakref.WeakSet[Ledger] = weakref.WeakSet()


def _drop_in_child() -> None:
    for ledger in list(_open_ledgers):
        ledger.close()


os.register_at_fork(after_in_child=_drop_in_child)
