"""Errors of networks that can't be built, run or loaded as set."""

from __future__ import annotations

from ..errors import DetNASError


class ModelError(DetNASError, ValueError):
    """A setting or an input that the network does not take; says what it takes."""


class WeightsError(DetNASError, ValueError):
    """Weights that do not fit; the model is as it was."""
