"""The error of networks that can't be built or run as set."""

from __future__ import annotations

from ..errors import DetNASError


class ModelError(DetNASError, ValueError):
    """A setting or an input that the network does not take; says what it takes."""
