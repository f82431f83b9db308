"""Errors of the search space: both are ValueErrors whose message says what to change."""

from __future__ import annotations

from ..errors import DetNASError


class SpaceError(DetNASError, ValueError):
    """A search space, or a request on it, that can't be met."""


class ArchitectureError(DetNASError, ValueError):
    """An architecture that doesn't belong to its space, or can't be read."""
