"""How long something takes, as a reader has it."""

from __future__ import annotations

import math


def duration(seconds: float) -> str:
    """Three figures at the most: 0.42 s, 37 s, 4 min 05 s, 2 h 10 min, 3 d 4 h."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
