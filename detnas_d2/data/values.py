"""Values of annotation files that mean the same, however they are written."""

from __future__ import annotations

import reprlib
from typing import Any


def whole(value: Any) -> int | None:
    """The whole number that 3, 3.0 or "3" is; None for anything else."""
    if type(value) is int:
        return value
    if type(value) is bool or (isinstance(value, float) and value.is_integer()):
        return int(value)
    if isinstance(value, str) and len(value) < 20:
        text = value.strip().removesuffix(".0")
        return int(text) if text.isascii() and text.isdigit() and str(int(text)) == text else None
    return None


def number(value: Any) -> float | None:
    """A number, also one in a text; one that fits into a float."""
    if type(value) is str:
        try:
            value = float(value)
        except ValueError:
            return None
    fits = type(value) is float or (type(value) is int and abs(value) < 2**63)
    return value if fits else None


def identity(value: Any) -> Any:
    """What an id is found by: 1, 1.0 and "1" are the same; other texts are themselves."""
    number = whole(value)
    return number if number is not None else value.strip() if isinstance(value, str) else None


def show(value: Any) -> str:
    """A value for a message, cut where it is long."""
    return "missing" if value is None else reprlib.repr(value)
