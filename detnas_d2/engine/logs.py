"""Log files on a full disk, and consoles without tracebacks."""

from __future__ import annotations

import copy
import functools
import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any


def let_logs_end(*names: str) -> None:
    """Where a log file can't be written any more, end it and not the run.

    Python's handlers would print a traceback for every line, and one at the exit.

    Args:
        names: of loggers with handlers for files, e.g. of Detectron2's setup_logger.
    """
    for handler in _stream_handlers(names):
        if not _is_console(handler):
            handler.handleError = functools.partial(_end, handler)  # type: ignore[method-assign]


def hide_tracebacks(*names: str) -> None:
    """Logged exceptions keep their tracebacks in log files only.

    Args:
        names: of loggers.
    """
    for handler in _stream_handlers(names):
        if _is_console(handler):
            handler.setFormatter(_WithoutTraceback(handler.formatter or logging.Formatter()))


def _stream_handlers(names: tuple[str, ...]) -> Iterator[logging.StreamHandler[Any]]:
    for handler in (h for name in names for h in logging.getLogger(name).handlers):
        if isinstance(handler, logging.StreamHandler):
            yield handler


def _is_console(handler: logging.StreamHandler[Any]) -> bool:
    name = getattr(handler.stream, "name", None)
    return not isinstance(name, str) or name.startswith("<")  # <stdout>


def _end(handler: logging.StreamHandler[Any], record: logging.LogRecord) -> None:
    """Called while a line can't be written; those after it fail at the closed file, in silence."""
    file, error = handler.stream, sys.exc_info()[1]
    if file.closed:
        return
    if not isinstance(error, OSError):
        logging.Handler.handleError(handler, record)
        return
    with suppress(OSError):
        file.close()
    print(f"{file.name} ends here, it can't be written: {error.strerror}", file=sys.stderr)


class _WithoutTraceback(logging.Formatter):
    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)  # other handlers see the same one
        error = record.exc_info[1] if record.exc_info else None
        record.exc_info = record.exc_text = None
        return self._formatter.format(record) + (f" {type(error).__name__}" if error else "")
