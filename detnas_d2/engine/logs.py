"""Log files on a full disk."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import TextIO


def let_logs_end(*names: str) -> None:
    """Where a log file can't be written any more, end it and not the run.

    Python's handlers would print a traceback for every line, and one at the exit.

    Args:
        names: of loggers with handlers for files, e.g. of Detectron2's setup_logger.
    """
    files: dict[str, LogFile] = {}
    for handler in (h for name in names for h in logging.getLogger(name).handlers):
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler.stream, LogFile):
            path = getattr(handler.stream, "name", None)
            if isinstance(path, str) and not path.startswith("<"):  # <stdout>
                handler.setStream(files.setdefault(path, LogFile(handler.stream)))


class LogFile:
    """A text file that closes when it can't be written to, and then takes all and keeps nothing."""

    def __init__(self, file: TextIO) -> None:
        self.name = file.name
        self._file = file

    def write(self, text: str) -> None:
        if not self._file.closed:
            with self._closing():
                self._file.write(text)

    def flush(self) -> None:
        if not self._file.closed:
            with self._closing():
                self._file.flush()

    @contextlib.contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.close()
            print(f"{self.name} ends here, it can't be written: {error.strerror}", file=sys.stderr)
