"""Measurements, and the evaluator with the ledger in front of the executor."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from detnas_d2.errors import DetNASError
from detnas_d2.search import Evaluator, InProcessExecutor, Progress, SearchError, measure
from detnas_d2.space import Architecture


def architectures(space, *choices):
    return [Architecture(space, c) for c in choices]


@pytest.mark.parametrize(
    "answer, error",
    [
        ((float("nan"), {}), "NotFinite: the fitness is nan"),
        ((-float("inf"), {}), "NotFinite: the fitness is -inf"),
        (3.0, "TypeError: "),
        ((1.0, {"AP": "high"}), "ValueError: "),
        ((None, {}), "TypeError: "),
    ],
)
def test_a_measurement_is_plain_and_unrounded_or_a_failure(tiny, answer, error):
    (a,) = architectures(tiny, (0, 1, 2))
    result = measure(lambda _: answer, a)
    assert result.fitness is None and result.error.startswith(error)
    figures = {"AP": float("inf"), "APs": np.float32(0.5)}
    result = measure(lambda _: (np.float64(0.1) + 0.2, figures), a)
    assert result.fitness == 0.1 + 0.2 and result.metrics == {"AP": None, "APs": 0.5}
    assert type(result.fitness) is type(result.metrics["APs"]) is float
    assert result.error is None and result.architecture == a and result.seconds >= 0


def test_failing_candidate_is_tried_again(tiny, caplog):
    """As often as stated; what counts is the last attempt."""
    outcomes = {
        (0, 0, 0): [ValueError("no"), 3.0],
        (0, 0, 1): [float("nan"), ValueError("first"), ValueError("last")],
        (0, 0, 2): [ValueError("no"), ValueError("no"), float("nan"), 1.0],
    }

    def fitness(a):
        outcome = outcomes[a.choices].pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome, {}

    results = list(InProcessExecutor(fitness, retries=2).run(architectures(tiny, *outcomes)))
    assert [(r.fitness, r.error) for r in results] == [
        (3.0, None),
        (None, "ValueError: last (after 3 attempts)"),
        (None, "NotFinite: the fitness is nan (after 3 attempts)"),
    ]
    assert outcomes[(0, 0, 2)] == [1.0]
    assert "0,0,1 failed in attempt 2 of 3: ValueError: first\nTraceback" in caplog.text
    assert caplog.text.count("in fitness") == 5  # the traceback of each exception


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, DetNASError])
def test_interrupts_pass_through_and_lose_nothing(tiny, make_evaluator, tmp_path, interrupt):
    lines = []

    def fitness(a):
        lines.append((tmp_path / "ledger.jsonl").read_text().count("\n"))
        if a.choices == (0, 0, 2):
            raise interrupt
        return 1.0, {}

    evaluate = make_evaluator(tiny, fitness)
    with pytest.raises(interrupt):
        evaluate(architectures(tiny, (0, 0, 0), (0, 0, 1), (0, 0, 2)), 0)
    assert lines == [1, 2, 3]  # each is in the ledger before the next begins


def test_nothing_is_evaluated_twice(tiny, make_evaluator, separable, cost):
    fitness = separable(tiny)
    a, b, c = architectures(tiny, (0, 0, 0), (1, 0, 0), (2, 0, 0))
    evaluate = make_evaluator(tiny, fitness)
    first = evaluate([a, b, a], 0)
    assert fitness.calls == [a, b]
    assert first[0] == first[2] and [e.architecture for e in first] == [a, b, a]
    second = evaluate([c, b], 1)
    assert fitness.calls == [a, b, c]
    assert [e.generation for e in second] == [1, 0]
    assert [e.flops for e in first] == [cost(tiny).flops(x) for x in (a, b, a)]
    assert [e.params for e in first] == [cost(tiny).params(x) for x in (a, b, a)]
    again = make_evaluator(tiny, fitness, resume=True)
    assert again([b, a, c], 2) == [first[1], first[0], second[0]]
    assert fitness.calls == [a, b, c]


def test_failed_are_taken_up_again(tiny, make_evaluator, cost, open_ledger):
    """Once each, and only those that the ledger held as failed at the start."""
    a, b, c = architectures(tiny, (0, 0, 0), (0, 0, 1), (0, 0, 2))
    calls, failing = [], {a, b, c}

    def fitness(architecture):
        calls.append(architecture)
        if architecture in failing:
            raise ValueError("no")
        return 1.0, {}

    assert [e.ok for e in make_evaluator(tiny, fitness)([a, b], 0)] == [False, False]
    failing.discard(a)
    calls.clear()
    ledger = open_ledger(tiny, resume=True)
    again = Evaluator(InProcessExecutor(fitness), cost(tiny), ledger, retry_failed=True)
    assert [e.ok for e in again([c, a, b, a], 0)] == [False, True, False, True]
    assert calls == [c, a, b]
    assert [e.ok for e in again([b, c, a], 1)] == [False, False, True] and len(calls) == 3
    assert [(e.architecture, e.ok) for e in ledger] == [(c, False), (a, True), (b, False)]


@pytest.mark.parametrize("succeeds", [None, 19])
def test_many_failures_in_a_row_end_the_search(demo, open_ledger, cost, succeeds):
    rows = np.random.default_rng(0).integers(4, size=(60, demo.num_blocks))
    drawn = architectures(demo, *map(tuple, rows.tolist()))
    works = {drawn[succeeds]} if succeeds is not None else set()

    def fitness(a):
        if a not in works:
            raise RuntimeError("CUDA error")
        return 1.0, {}

    ledger = open_ledger(demo)
    executor = InProcessExecutor(fitness)
    with pytest.raises(SearchError, match="20 candidates in a row failed.*RuntimeError: CUDA err"):
        Evaluator(executor, cost(demo), ledger)(drawn, 3)
    assert len(ledger) == (20 if succeeds is None else 40)
    works.update(drawn)  # mended
    evaluations = Evaluator(executor, cost(demo), ledger, retry_failed=True)(drawn, 3)
    assert all(e.ok for e in evaluations) and len(ledger) == 60


def test_progress_counts_and_estimates(tiny, record, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress = Progress(total=10)
    progress.begin_batch([record(tiny, (0, 0, 0), 3.0), record(tiny, (0, 0, 1), None)])
    assert caplog.messages[-1] == "2/10: 2 candidates are in the ledger already"
    now += 600
    progress.evaluated(record(tiny, (0, 1, 0), 2.5, generation=4, flops=288_082_368, seconds=600))
    # 7 left of 600 s each: the two of the ledger are no part of the mean
    assert caplog.messages[-1] == (
        "3/10, generation 4: fitness 2.5000, best 3.0000, 288.1M multiply-adds, 10 min 00 s, "
        "1 h 10 min left"
    )
    progress.begin_batch([])
    progress.evaluated(record(tiny, (0, 1, 1), None))
    assert "4/10, generation 0: failed (ValueError: no), best 3.0000, " in caplog.messages[-1]
    progress.evaluated(record(tiny, (0, 1, 2), 3.5))
    assert "best 3.5000" in caplog.messages[-1]
