"""The ledger: one JSON line for each evaluated architecture, on the disk before the search uses it.

It is the search's only state. The first line is a header that names what the fitness depends on;
each further line is an Evaluation, and each has a checksum (see ledger_format). Lines are only ever
appended. What a crash can leave behind, a torn last line, is cut off when the ledger is opened
again; any other damage, down to a single byte, is an error that names the line.

What is lost: when the process is killed, nothing that was appended; by a power failure, at most
what took less than SYNC_SECONDS and came as soon after the last sync, and nothing that the search
has used.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import time
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..files import sync_directory
from ..space import Architecture, SearchSpace
from .errors import LedgerError, LedgerLocked
from .ledger_format import (
    add,
    check_header,
    check_new,
    complete_lines,
    header_line,
    is_header_alone,
    parse_evaluations,
    to_line,
)
from .record import Evaluation

logger = logging.getLogger(__name__)

SYNC_SECONDS = 0.2
"""An append brings the file to the disk if it was not for so long, or what is appended took so
long; a disk takes milliseconds."""


class Ledger:
    """The evaluated architectures of one search, in the order of their (last) lines.

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
        self._is_synced = False  # nor may be what a killed search has left
        self._synced_at = -math.inf
        self._descriptor: int | None = _open_locked(self.path)
        _open_ledgers.add(self)
        try:
            self._load(space, resume)
        except BaseException as error:
            self._release()
            if isinstance(error, OSError):
                raise LedgerError(f"can't read or mend {self.path}: {error.strerror}") from error
            raise

    def get(self, architecture: Architecture) -> Evaluation | None:
        return self._evaluations.get(architecture)

    def __len__(self) -> int:
        return len(self._evaluations)

    def __iter__(self) -> Iterator[Evaluation]:
        return iter(self._evaluations.values())

    def append(self, evaluation: Evaluation) -> None:
        """Write one line. It survives this process; `sync` is what brings it to the disk.

        An evaluation that failed gives way to a later one of its architecture. Where the evaluation
        took longer than SYNC_SECONDS, or the last sync is older, the ledger is synced.

        Raises LedgerError if it can't be written: what was written of the line is taken back, the
        ledger is closed, and all lines before it are kept; or what sync raises. ValueError if the
        architecture is in the ledger already and did not fail.
        """
        check_new(self._evaluations, evaluation)
        self._write(to_line(evaluation.to_json()))
        add(self._evaluations, evaluation)
        if max(evaluation.seconds, time.monotonic() - self._synced_at) > SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Bring all lines to the disk (fsync). The search uses no evaluation before that.

        Raises LedgerError if that fails; the ledger is then closed.
        """
        descriptor = self._require_open()
        if self._is_synced:
            return
        try:
            os.fsync(descriptor)
        except OSError as error:
            self._release()
            raise LedgerError(
                f"can't bring {self.path} to the disk: {error.strerror}. Make room or mend the "
                "disk, then go on with --resume: what did not reach the disk is evaluated again."
            ) from error
        self._is_synced = True
        self._synced_at = time.monotonic()

    def close(self) -> None:
        """Sync, and release the lock and the file. A second call does nothing. Raises as sync."""
        try:
            if self._descriptor is not None:
                self.sync()
        finally:
            self._release()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exception: object) -> None:
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
            self.sync()
            sync_directory(self.path.parent)
            return
        lines, end = complete_lines(content)
        check_header(self.path, lines, self.header)
        self._evaluations = parse_evaluations(self.path, lines, space)
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
            self._end += len(line)
            self._is_synced = False
        except BaseException as error:
            self._take_back(descriptor)
            if isinstance(error, OSError):
                raise LedgerError(
                    f"can't write to {self.path}: {error.strerror}. The evaluations in it are "
                    "kept. Make room or make the folder writable, then go on with --resume."
                ) from error
            raise

    def _take_back(self, descriptor: int) -> None:
        try:
            os.ftruncate(descriptor, self._end)
        except OSError:
            logger.warning("%s: a torn last line stays until the next start", self.path)
        self._release()

    def _release(self) -> None:
        _open_ledgers.discard(self)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _require_open(self) -> int:
        if self._descriptor is None:
            raise LedgerError(f"{self.path} is closed; open the ledger again with resume")
        return self._descriptor


def _open_locked(path: Path) -> int:
    descriptor = -1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise LedgerLocked(
                f"another search is running on {path}. Wait for it, stop it, or choose another "
                "output folder."
            ) from error
        raise LedgerError(
            f"can't open {path} for writing, or lock it: {error.strerror}. Choose an output folder "
            "that is writable, on a file system that has locks."
        ) from error
    return descriptor


# A forked child (a data worker) would keep the lock after its parent was killed, and --resume
# would be refused until the child ended too. So children drop the file; the parent keeps both.
_open_ledgers: weakref.WeakSet[Ledger] = weakref.WeakSet()


def _drop_in_child() -> None:
    for ledger in list(_open_ledgers):
        ledger._release()


os.register_at_fork(after_in_child=_drop_in_child)
