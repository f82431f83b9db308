"""The figures of the charts against plain loops and a brute force."""

from __future__ import annotations

import statistics

from hypothesis import given
from hypothesis import strategies as st
from made_search import made_evaluations, space_of

from detnas_d2.report.figures import (
    best_so_far,
    choice_shares,
    median_by_generation,
    pareto_front,
    shares_by_generation,
    top_of,
)

# few values, so that many are equal
POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30)


def dominates(a, b):
    return a[0] <= b[0] and a[1] >= b[1] and a != b


@given(POINTS)
def test_the_front_is_what_a_brute_force_finds(points):
    front = pareto_front([c for c, _ in points], [f for _, f in points])
    assert len(set(front)) == len(front)
    assert set(front) == {
        i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)
    }
    assert [points[i][0] for i in front] == sorted(points[i][0] for i in front)


@given(st.lists(st.one_of(st.none(), st.floats(-5, 5))))
def test_best_so_far_is_the_maximum_of_each_beginning(fitness):
    expected = [
        max((f for f in fitness[: i + 1] if f is not None), default=None)
        for i in range(len(fitness))
    ]
    assert best_so_far(fitness) == expected


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
    assert median_by_generation(evaluations) == [
        (0, 1, 10, statistics.median(first)),
        (1, 11, 20, None),
        (2, 21, 25, statistics.median(e.fitness for e in evaluations[20:])),
    ]
