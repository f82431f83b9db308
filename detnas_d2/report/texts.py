"""Figures as a reader has them, and what becomes of a section that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

logger = logging.getLogger(__name__)
T = TypeVar("T")


def attempt(failure: str, make: Callable[[], T], default: T, problems: list[str]) -> T:
    """What `make` gives, or `default`, and `failure` with its reason in `problems`: a section that
    fails on what a folder holds must not take the others with it."""
    try:
        return make()
    except Exception as error:
        logger.debug("%s", failure, exc_info=True)
        problems.append(" ".join(f"{failure}: {type(error).__name__}: {error}".split()))
        return default


def millions(number: float) -> str:
    """In millions, with the decimals that a table of networks needs."""
    value = number / 1e6
    return f"{value:,.1f}" if value >= 100 else f"{value:,.2f}" if value >= 1 else f"{value:.3f}"
