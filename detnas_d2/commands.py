"""How every command ends that fails: with one message; the traceback is for `--debug`.

@command("python -m detnas_d2.data.splits")
def main(argv: Sequence[str]) -> None:
    parser = new_parser(__doc__)
    args = parser.parse_args(argv)

if __name__ == "__main__":
    main()
"""

from __future__ import annotations

import argparse
import errno
import functools
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from .errors import DetNASError

DEBUG = "--debug"
INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 + SIGINT."""

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)

_Parser = TypeVar("_Parser", bound=argparse.ArgumentParser)
_T = TypeVar("_T")


def add_debug(parser: _Parser) -> _Parser:
    """Give a parser the option of all commands; returns the parser."""
    parser.add_argument(DEBUG, action="store_true", help="show the traceback of an error")
    return parser


def new_parser(text: str | None, prog: str | None = None) -> argparse.ArgumentParser:
    """A parser with the option of all commands, whose help has the text as it stands."""
    raw = argparse.RawDescriptionHelpFormatter
    return add_debug(
        argparse.ArgumentParser(
            prog=prog, description=text, formatter_class=raw, allow_abbrev=False
        )
    )


def command(
    program: str,
    *,
    interrupted: str = "stopped.",
    flags: Collection[str] = (),
    sigterm: bool = False,
) -> Callable[[Callable[[Sequence[str]], _T]], Callable[..., _T]]:
    """Decorates a program's `main(argv)`; it may then be called without argv, for sys.argv's.

    Args:
        program: the name before messages.
        interrupted: what Ctrl-C says.
        flags: options without a value, besides `--debug`, that may stand after overrides.
        sigterm: end by SystemExit at SIGTERM, so that what it has started is ended too.
    """
    movable = {DEBUG, *flags}

    def decorate(main: Callable[[Sequence[str]], _T]) -> Callable[..., _T]:
        @functools.wraps(main)
        def run(argv: Sequence[str] | None = None) -> _T:
            argv = list(sys.argv[1:] if argv is None else argv)
            # to the front, for after overrides a parser takes them for some of these
            argv.sort(key=lambda argument: argument not in movable)
            ends = ending(program, debug=DEBUG in argv, interrupted=interrupted)
            with ends, _exit_at_sigterm() if sigterm else nullcontext():
                return main(argv)

        return run

    return decorate


@contextmanager
def _exit_at_sigterm() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def ending(program: str, *, debug: bool, interrupted: str = "stopped.") -> Iterator[None]:
    """Whatever is raised in it ends the process with a message and a status that is not 0.

    For an error that nobody foresaw, the message names the log file that its traceback was added
    to; before there is one, `--debug` shows it.

    Raises:
        SystemExit: with the message (status 1), or with status 130 after Ctrl-C, which says what
            the KeyboardInterrupt does, or else `interrupted`.
    """
    hook = threading.excepthook
    if not debug:
        threading.excepthook = functools.partial(_thread_ended, program)
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, KeyboardInterrupt):
            print(f"{program}: {str(error) or interrupted}", file=sys.stderr)
            sys.exit(INTERRUPTED)
        sys.exit(f"{program}: {error if isinstance(error, DetNASError) else _describe(error)}")
    finally:
        threading.excepthook = hook


def _thread_ended(program: str, args: threading.ExceptHookArgs) -> None:
    """A line in the place of a traceback: TensorBoard's writer on a full disk is such a thread."""
    if isinstance(args.exc_value, Exception):
        _add_to_logs(args.exc_value)
        what = f"{args.exc_type.__name__}: {args.exc_value}"
        print(f"{program}: a thread was ended by {what}", file=sys.stderr)


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in _DISK:
        return (
            f"can't write to {error.filename or 'the output folder'}: {error.strerror}. What was "
            "saved before is untouched: make room and run it again, a training or a search with "
            "--resume."
        )
    # of a process that it started, PyTorch gives the whole traceback as the message
    lines = str(error).strip().splitlines() or ["(no message)"]
    spawned = "Traceback (most recent call last):" in lines
    what = lines[-1] if spawned else f"{type(error).__name__}: {lines[0]}"
    logs = _add_to_logs(error)
    where = f"{' and '.join(logs)} has the traceback" if logs else f"{DEBUG} shows the traceback"
    if isinstance(error, MemoryError) or "OutOfMemoryError" in what:
        advice = (
            "The memory does not suffice: set a smaller dataloader.train.total_batch_size, smaller "
            "images, or fewer search.executor.workers or dataloader.*.num_workers"
        )
    elif isinstance(error, OSError) and error.filename:
        what = f"{error.strerror}: {os.fspath(error.filename)!r}"
        advice = "Check that path, and that you may read or write there"
    else:
        advice = "This was not foreseen and may be a bug of ours"
    return f"{what}\n{advice}; {where}."


def _add_to_logs(error: Exception) -> list[str]:
    """Write the traceback to the log files alone, not to the console; returns their names."""
    names = []
    cause = (type(error), error, error.__traceback__)
    text = "ended by an error that was not foreseen"
    record = logging.LogRecord("detnas_d2", logging.ERROR, __file__, 0, text, (), cause)
    for handler in logging.getLogger("detnas_d2").handlers:
        if not isinstance(handler, logging.StreamHandler):
            continue
        name = getattr(handler.stream, "name", None)
        if isinstance(name, str) and not name.startswith("<"):  # <stdout>
            handler.handle(record)
            if not handler.stream.closed:  # as it is where the disk was full
                names.append(name)
    return names
