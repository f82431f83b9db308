"""How long something takes, as the log, the estimate and the report say it."""

from __future__ import annotations

import math

import pytest

from detnas_d2.durations import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.0, "0 s"), (0.417, "0.42 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s")),
        *((245, "4 min 05 s"), (7800, "2 h 10 min"), (86_399.6, "1 d 0 h"), (273_600, "3 d 4 h")),
        *((math.nan, "unknown"), (math.inf, "unknown")),
    ],
)
def test_at_most_three_figures(seconds, text):
    assert duration(seconds) == text
