"""Phases that can't work are refused where a fitness is made of them."""

from __future__ import annotations

import pytest

from detnas_d2.phases import Phase, SplitFitness


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([(0, ()), (1, (0,))], "at least one unit"),
        ([(3, ()), (2, (0,))], "last phase of a fitness has one unit"),
        ([], "last phase of a fitness has one unit"),
        ([(3, ()), (1, (1,))], "only earlier ones"),
        ([(3, (2,)), (1, ()), (1, (0,))], "only earlier ones"),
        ([(3, ()), (1, (-1,))], "only earlier ones"),
    ],
)
def test_phases_that_can_not_work(sizes, message):
    with pytest.raises(ValueError, match=message):
        SplitFitness(Phase(list, units, needs) for units, needs in sizes)
