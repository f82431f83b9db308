"""The check of an algorithm's settings."""

from __future__ import annotations

from typing import Any

from .errors import SearchError


def check_settings(*settings: tuple[str, Any, bool, str]) -> None:
    """Raise SearchError for the first (name, value, whether it can work, what is expected) that
    can't."""
    for name, value, works, expected in settings:
        if not works:
            raise SearchError(f"{name} of the search is {value}; expected {expected}")
