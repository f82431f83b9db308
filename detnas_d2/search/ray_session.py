"""A connection to Ray: a cluster that runs, or processes of its own on this machine."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .errors import SearchError

logger = logging.getLogger(__name__)

_PATIENCE = 5.0  # seconds for the head to answer


@contextmanager
def ray_session(address: str | None, cpus: float, gpus: float) -> Iterator[Any]:
    """The module ray, connected; what was started here is stopped at the end.

    A connection that this process has already is used and left as it is. SIGTERM becomes
    KeyboardInterrupt, as long as nothing else was set to handle it.

    Args:
        address: "auto" or host:port of a cluster; None starts Ray on this machine ...
        cpus, gpus: ... with so many to give away; they may be more than it has.

    Raises SearchError where it can't be started or reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield ray
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    before = signal.getsignal(signal.SIGTERM)
    try:
        try:
            if address is None:
                ray.init(
                    "local",
                    num_cpus=math.ceil(cpus),
                    num_gpus=math.ceil(gpus),
                    include_dashboard=False,
                    **quiet,
                )
            else:
                logger.info("Connecting to the Ray cluster at %r", address)
                _check_listening(address)
                ray.init(address, **quiet)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            if address is None:
                raise SearchError(f"Ray can't be started on this machine: {reason}") from error
            raise SearchError(
                f"The Ray cluster at {address!r} can't be reached: {reason}\nRun the search on a "
                "machine of the cluster, and see with `ray status` that it runs; docs/cluster.md "
                "has the rest."
            ) from error
        finally:
            # Ray's own handler would kill its processes under our feet, and its waiting makes the
            # status of any SystemExit 1
            _handle_sigterm(signal.default_int_handler if before == signal.SIG_DFL else before)
        try:
            yield ray
        finally:
            ray.shutdown()
    finally:
        _handle_sigterm(before)


def _check_listening(address: str) -> None:
    """Raise OSError where nothing listens, for which Ray would wait several minutes, and ValueError
    for what is no address."""
    if address == "auto" or "://" in address:
        return  # Ray knows where to look
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("expected auto, or host:port of the head")
    socket.create_connection((host, int(port)), timeout=_PATIENCE).close()


def _handle_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGTERM, handler)
