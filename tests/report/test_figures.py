"""The figures of the charts against plain loops."""

from __future__ import annotations

import math
import statistics

from made_search import made_evaluations, space_of

from detnas_d2.report.figures import choice_shares, runs_of, shares_by_generation, top_of


def test_shares_are_counts():
    space = space_of(3)
    evaluations = made_evaluations(space, 25)
    shares = choice_shares(evaluations)
    for b in range(space.num_blocks):
        for c in range(3):
            assert shares[b, c] == sum(e.architecture[b] == c for e in evaluations) / 25
    by_generation = shares_by_generation(evaluations)
    assert list(by_generation) == [0, 1, 2]
    last = [c for e in evaluations[20:] for c in e.architecture]
    for c in range(3):
        assert abs(by_generation[2][c] - last.count(c) / len(last)) < 1e-12


def test_top_is_a_tenth_but_ten_at_least():
    space = space_of()
    for count, expected in ((4, 4), (40, 10), (300, 30)):
        top = top_of(made_evaluations(space, count, failing=[0]))
        assert len(top) == min(expected, count - 1)
        assert [e.fitness for e in top] == sorted((e.fitness for e in top), reverse=True)


def test_medians_of_generations():
    evaluations = made_evaluations(space_of(), 25, failing=[2, *range(10, 20)])
    first = [e.fitness for e in evaluations[:10] if e.ok]
    runs = runs_of(evaluations)
    assert [run[:3] for run in runs] == [(0, 1, 10), (1, 11, 20), (2, 21, 25)]
    assert runs[0].median == statistics.median(first) and math.isnan(runs[1].median)
    assert runs[2].median == statistics.median(e.fitness for e in evaluations[20:])
