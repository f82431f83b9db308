"""Log files on a full disk, and consoles without tracebacks."""

from __future__ import annotations

import contextlib
import copy
import logging
import sys
from collections.abc import Iterator
from typing import Any, TextIO


def let_logs_end(*names: str) -> None:
    """Where a log file can't be written any more, end it and not the run.

    Python's handlers would print a traceback for every line, and one at the exit.

    Args:
        names: of loggers with handlers for files, e.g. of Detectron2's setup_logger.
    """
    files: dict[str, LogFile] = {}
    for handler in (h for name in names for h in logging.getLogger(name).handlers):
        if not isinstance(handler, logging.StreamHandler) or isinstance(handler.stream, LogFile):
            continue
        if path := _path(handler):
            handler.setStream(files.setdefault(path, LogFile(handler.stream)))


def hide_tracebacks(*names: str) -> None:
    """Logged exceptions keep their tracebacks in log files only.

    Args:
        names: of loggers.
    """
    for handler in (h for name in names for h in logging.getLogger(name).handlers):
        if isinstance(handler, logging.StreamHandler) and not _path(handler):
            handler.setFormatter(_WithoutTraceback(handler.formatter or logging.Formatter()))


def _path(handler: logging.StreamHandler[Any]) -> str | None:
    """The file that a handler writes to; None for a console."""
    path = getattr(handler.stream, "name", None)
    return path if isinstance(path, str) and not path.startswith("<") else None  # <stdout>


class _WithoutTraceback(logging.Formatter):
    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)  # other handlers see the same one
        error = record.exc_info[1] if record.exc_info else None
        record.exc_info = record.exc_text = None
        return self._formatter.format(record) + (f" {type(error).__name__}" if error else "")


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
