"""Errors of export and prediction."""

from __future__ import annotations

from ..errors import DetNASError


class TrainedError(DetNASError):
    """A folder that holds no trained network of the kind that is wanted."""


class ExportError(DetNASError):
    """A network that can't be exported, or an exported file that does not compute the same."""
