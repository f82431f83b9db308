"""Errors of the data package: each says what is wrong, where, and what to do."""

from __future__ import annotations

from detnas_d2.errors import DetNASError


class DataError(DetNASError, ValueError):
    """Data or an argument about data that cannot be used as it is."""


class MissingDatasetError(DetNASError, FileNotFoundError):
    """A data set's files are not where they have to lie."""


class ImageReadError(DetNASError, RuntimeError):
    """An image could not be read or mapped; training must not draw another in its place."""

    def __init__(self, message: str) -> None:
        # torch passes an error of a data worker on as the text of its traceback; keep the message.
        super().__init__(message.rpartition(f"{type(self).__name__}: ")[2].strip())
