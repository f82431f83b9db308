"""Figures as a reader has them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

logger = logging.getLogger(__name__)
T = TypeVar("T")


def attempt(what: str, make: Callable[[], T], default: T, problems: list[str]) -> T:
    """A section of the page, or `default` and its reason in `problems`: one that fails on what a
    folder holds must not take the others with it.

    Raises:
        OSError: a full disk is not the section's.
    """
    try:
        return make()
    except OSError:
        raise
    except Exception as error:
        logger.debug("%s", what, exc_info=True)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        problems.append(f"{what} could not be made: {reason}")
        return default


def millions(number: float) -> str:
    """In millions, with the decimals that a table of networks needs."""
    value = number / 1e6
    return f"{value:,.1f}" if value >= 100 else f"{value:,.2f}" if value >= 1 else f"{value:.3f}"


def flatten(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything in nested mappings; lists are values."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
