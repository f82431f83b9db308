"""Errors of the search, each a DetNASError: what was wrong, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DetNASError


class SearchError(DetNASError):
    """A search that can't be run as set, or that found nothing."""


class LimitError(SearchError):
    """A limit that no architecture of the space meets."""


class LedgerError(SearchError):
    """The ledger can't be opened, read or written."""


class LedgerMismatch(LedgerError):
    """The ledger belongs to another search.

    fields: name of each differing field -> (value in the ledger, value of this search); None
        stands for a field that one of them lacks.
    """

    def __init__(self, path: Path, fields: Mapping[str, tuple[Any, Any]]):
        self.fields = dict(fields)
        lines = [f"  {k}: {old!r} in the ledger, {new!r} now" for k, (old, new) in fields.items()]
        super().__init__(
            f"{path} belongs to another search; its header differs in\n" + "\n".join(lines) + "\n"
            "Restore these to go on with it, or choose another output folder for this search. That "
            "of an earlier version goes on with that version; its best can begin a new one: "
            "search.initial_ledger."
        )
