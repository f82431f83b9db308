"""RayExecutor with real worker processes: killed, hanging, raising, and machines that leave."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import time

import faulty_fitness
import numpy as np
import pytest
from faulty_fitness import (
    PYTHONPATH,
    FaultyParts,
    attempts,
    is_alive,
    starts,
    value,
    wait_until,
)

from detnas_d2.search import InProcessExecutor, RayExecutor, SearchError
from detnas_d2.search.ray_session import ray_session
from detnas_d2.space import Architecture

ray = pytest.importorskip("ray")
DATA = np.arange(1000.0)


@pytest.fixture(scope="module", autouse=True)
def session():
    """One for all: RayExecutor uses a connection that is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([PYTHONPATH, *filter(None, sys.path)]))
        with ray_session(None, cpus=4, gpus=0):
            yield


@pytest.fixture
def architectures(tiny):
    return [Architecture(tiny, choices) for choices in itertools.product(range(3), repeat=3)]


@pytest.fixture
def executor(tmp_path):
    """executor(faults, ...) -> an entered RayExecutor on FaultyFitness, retries 1."""
    opened = []

    def make(faults=None, **settings) -> RayExecutor:
        settings = {"workers": 2, "retries": 1, **settings}
        shared = [tmp_path, faults or {}, DATA]
        new = RayExecutor(faulty_fitness.make, shared, **settings)
        opened.append(new.__enter__())
        return new

    yield make
    for one in opened:
        one.__exit__(None, None, None)


def by_architecture(measurements):
    found = {m.architecture.choices: (m.fitness, dict(m.metrics), m.error) for m in measurements}
    assert len(found) == len(measurements)
    return found


@pytest.mark.parametrize("workers", [1, 4])
def test_results_do_not_depend_on_the_number_of_workers(executor, architectures, tmp_path, workers):
    alone = InProcessExecutor(lambda a: (value(a), {"AP": value(a), "sum": float(DATA.sum())}))
    expected = by_architecture(list(alone.run(architectures)))
    many = executor({architectures[0].choices: [f"await {workers} start.*"]}, workers=workers)
    assert (
        by_architecture(list(many.run(architectures[:20])))
        | by_architecture(list(many.run(architectures[20:])))
        == expected
    )
    # one start a worker for both batches, and one attempt a candidate
    assert len(starts(tmp_path)) == workers
    used = [attempts(tmp_path, a.choices) for a in architectures]
    assert {len(x) for x in used} == {1} and {x[0] for x in used} <= set(starts(tmp_path))


def test_faults_are_tried_again_then_recorded(executor, architectures, tmp_path, caplog):
    faults = {
        (0, 0, 0): ["raise"],
        (0, 0, 1): ["raise", "raise"],
        (0, 0, 2): ["nan", "nan"],
        (0, 1, 0): ["kill"],
        (0, 1, 1): ["kill", "kill"],
        (0, 1, 2): ["hang"],
        (0, 2, 0): ["hang", "hang"],
        (0, 2, 1): ["exit", "raise"],
    }
    measurements = list(executor(faults, workers=4, time_limit=4).run(architectures))
    found = by_architecture(measurements)
    died = "WorkerDied: its process was killed, ran out of memory or crashed"
    errors = {
        (0, 0, 1): "ValueError: no",
        (0, 0, 2): "NotFinite: the fitness is nan",
        (0, 1, 1): died,
        (0, 2, 0): "TimeLimit: not done after 4 s",
        (0, 2, 1): "ValueError: no",
    }
    for a in architectures:
        fitness, metrics, error = found[a.choices]
        tried = attempts(tmp_path, a.choices)
        assert len(tried) == min(len(faults.get(a.choices, ())) + 1, 2)
        assert not any(is_alive(p) for p in tried[:-1] if faults[a.choices][0] == "hang")
        if a.choices in errors:
            assert fitness is None and error == f"{errors[a.choices]} (after 2 attempts)"
        else:
            assert fitness == metrics["AP"] == value(a) and error is None
    assert found[(0, 0, 2)][1] == {"AP": None, "APs": 1.0}
    assert [m.seconds >= 4 for m in measurements if m.error and "TimeLimit" in m.error] == [True]
    assert "0,0,1 failed in attempt 1 of 2: ValueError: no" in caplog.text
    assert "in misbehave" in caplog.text  # the traceback of the worker


@pytest.mark.parametrize("workers", [1, 2])
def test_a_retry_is_made_in_another_process(executor, architectures, tmp_path, workers):
    first, second, *_ = architectures
    faults = {first.choices: ["raise"]}
    if workers == 2:  # the other is busy when the first fails, and ends then
        faults[first.choices] = [f"await 1 {second}.0; raise"]
        faults[second.choices] = [f"await 1 {first}.0"]
    found = list(executor(faults, workers=workers).run([first, second]))
    assert [m.error for m in found] == [None, None]
    one, other = attempts(tmp_path, first.choices)
    assert one != other and {one, other} == set(starts(tmp_path))


def test_a_worker_whose_every_attempt_fails_is_replaced(executor, architectures, tmp_path, caplog):
    faults = {a.choices: ["await 2 start.*; one is broken"] * 2 for a in architectures[:12]}
    measurements = list(executor(faults).run(architectures[:12]))
    assert len(measurements) == 12 and all(m.error is None for m in measurements)
    broken = int((tmp_path / "broken").read_text())
    wait_until(lambda: not is_alive(broken))
    # by the time that two are replaced, the other may have done everything
    assert len(starts(tmp_path)) in {2, 3}
    assert "CUDA error" in caplog.text and "is replaced; attempts failed in a row: " in caplog.text


UNITS = [(phase, unit) for phase, n in enumerate(FaultyParts.UNITS) for unit in range(n)]


@pytest.fixture
def shared_out(tmp_path):
    """shared_out(faults, architectures, workers, ...) -> measurements of FaultyParts by workers,
    and those of one process; the folder of the workers."""

    def run(faults, architectures, workers=3, retries=1):
        folders = [tmp_path / name for name in ("workers", "alone")]
        for folder in folders:
            folder.mkdir()
        with RayExecutor(
            faulty_fitness.make_parts, [folders[0], faults], workers=workers, retries=retries
        ) as many:
            found = by_architecture(list(many.run(architectures)))
        raising = {k: [f for f in v if "raise" in f] for k, v in faults.items()}
        alone = InProcessExecutor(FaultyParts(folders[1], raising), retries)
        return found, by_architecture(list(alone.run(architectures))), folders[0]

    return run


def test_workers_share_a_candidate(shared_out, architectures):
    """Each unit is run once; all work on one, whose result is that of one process to the last bit.
    Seconds are those of all its tasks."""
    first = architectures[5].choices
    faults = {(first, 0, unit): ["await 3 start.*; sleep 0.2"] for unit in range(6)}
    found, alone, folder = shared_out(faults, architectures[5:6])
    assert found == alone and found[first][2] is None
    used = [attempts(folder, (*first, *key)) for key in UNITS]
    assert {len(x) for x in used} == {1}
    assert {x[0] for x in used[:6]} == set(starts(folder)) and len(starts(folder)) == 3


@pytest.mark.parametrize("retries", [0, 1])
def test_a_worker_dies_in_the_middle_of_a_candidate(shared_out, architectures, retries):
    """What is there of it is kept: the units of one task are run again."""
    first = architectures[5].choices
    found, alone, folder = shared_out(
        {(first, 2, 4): ["kill"], (first, 2, 8): ["sleep 1"]}, architectures[5:8], retries=retries
    )
    again = [key for key in UNITS if len(attempts(folder, (*first, *key))) > 1]
    if retries:
        assert found == alone and (2, 4) in again and set(again) <= {(2, 2), (2, 3), (2, 4)}
    else:
        died = "WorkerDied: its process was killed, ran out of memory or crashed (after 1 attempt)"
        assert found.pop(first) == (None, {}, died) and not again
        assert alone.pop(first) and found == alone


def test_the_error_of_a_shared_candidate_is_that_of_one_process(shared_out, architectures, caplog):
    """Of the first unit that fails, whichever fails first; what comes behind it is not begun."""
    first, second, third, fourth = (a.choices for a in architectures[:4])
    faults = {
        (first, 0, 1): ["sleep 1; raise slow"] * 2,
        (first, 0, 5): ["raise fast"] * 2,
        (second, 2, 3): ["raise", "raise again"],
        (third, 3, 0): ["raise"],
        (fourth, 1, 0): ["raise"] * 2,
    }
    found, alone, folder = shared_out(faults, architectures[:5])
    assert found == alone
    assert [found[a][2] for a in (first, second, third, fourth)] == [
        "ValueError: slow (after 2 attempts)",
        "ValueError: again (after 2 attempts)",
        None,
        "ValueError: no (after 2 attempts)",
    ]
    assert attempts(folder, (*first, 1, 0)) == attempts(folder, (*second, 3, 0)) == []
    failed = f"{architectures[2]} (phase 3, units 0 to 0) failed in attempt 1 of 2: ValueError: no"
    assert failed in caplog.text


def test_a_lost_machine_costs_no_attempt(executor, architectures, monkeypatch):
    """As often as stated; whatever else happens, no candidate goes on for ever."""
    monkeypatch.setattr("detnas_d2.search.ray_executor.LOST_MACHINES", 2)
    monkeypatch.setattr(ray, "nodes", lambda: [])  # all have left
    first, second, *_ = architectures
    faults = {first.choices: ["kill"] * 2, second.choices: ["kill"] * 3}
    found = by_architecture(list(executor(faults, retries=0).run([first, second])))
    assert found[first.choices][2] is None
    assert found[second.choices][2].startswith("WorkerDied: ")


def test_a_fault_of_the_set_up_ends_it_after_what_is_there(executor, architectures, tmp_path):
    first, second, third = architectures[:3]
    faults = {
        first.choices: [f"await 1 {third}.0"],
        second.choices: ["await 1 go"],
        third.choices: ["await 1 go; wrong setting"],
    }
    results = executor(faults, workers=3).run(architectures[:3])
    assert next(results).architecture == first
    (tmp_path / "go").touch()
    time.sleep(1.5)  # while the caller writes the first, both others come to their ends
    assert next(results).architecture == second
    with pytest.raises(SearchError, match=r"^search.metric is wrong$"):
        next(results)
    assert len(attempts(tmp_path, third.choices)) == 1  # nothing to try again


def test_a_caller_that_stops_leaves_nothing_running(executor, architectures, tmp_path):
    first, second, *_ = architectures
    both = executor({first.choices: [f"await 1 {second}.0"], second.choices: ["hang"]})
    results = both.run([first, second])
    assert next(results).architecture == first
    results.close()
    (hanging,) = attempts(tmp_path, second.choices)
    wait_until(lambda: not is_alive(hanging))
    assert [m.error for m in both.run([first, second])] == [None, None]
    both.__exit__(None, None, None)
    wait_until(lambda: not any(map(is_alive, starts(tmp_path))))
    assert ray.is_initialized()  # it was not started by the executor


def test_a_fault_of_a_machine_that_joins_later_costs_only_that(
    architectures, tmp_path, caplog, monkeypatch
):
    """Not the candidates in flight elsewhere."""
    monkeypatch.setattr("detnas_d2.search.ray_pool.STARTS", 2)
    ready = "await 1 ready; sleep 0.5"
    faults = ["leave ready", *[f"{ready}; wrong setting"] * 2]
    with start_badly(tmp_path, *faults) as executor:
        batch = itertools.cycle(architectures)
        while "goes on with 1 workers" not in caplog.text:
            assert [m.error for m in executor.run([next(batch), next(batch)])] == [None, None]
    assert caplog.text.count("could not start: search.metric is wrong") == 2


def start_badly(folder, *faults, workers=2, cpus=1):
    make = faulty_fitness.make_badly
    return RayExecutor(make, [folder, faults], workers=workers, cpus_per_worker=cpus)


def test_a_bad_place_is_held(architectures, tmp_path, caplog, monkeypatch):
    """Else all that wait would start there in vain."""
    monkeypatch.setattr("detnas_d2.search.ray_pool.STARTS", 1)
    with start_badly(tmp_path, "raise", workers=3, cpus=2) as executor:  # two places
        wait_until(lambda: list(executor.run(architectures)) and "on with 2 wor" in caplog.text)
        for _ in range(15):
            list(executor.run(architectures))
            time.sleep(0.2)
        assert len(starts(tmp_path)) == 2 and "ValueError: no" in caplog.text


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("raise", r"No worker can start \(3 times in vain\).*in make_badly.*ValueError: no"),
        ("kill", "No worker can start.*worker process has died"),
        ("wrong setting", "^search.metric is wrong$"),
    ],
)
def test_workers_that_can_not_start(architectures, tmp_path, fault, message):
    with start_badly(tmp_path, *[fault] * 20) as executor, pytest.raises(SearchError) as error:
        list(executor.run(architectures))
    assert re.search(message, str(error.value), re.DOTALL)
    assert len(starts(tmp_path)) <= 6


def test_starts_that_fail_are_repeated(architectures, tmp_path):
    with start_badly(tmp_path, "raise", "kill", workers=1) as executor:
        assert [m.fitness for m in executor.run(architectures[:2])] == [
            value(a) for a in architectures[:2]
        ]
    assert len(starts(tmp_path)) == 3


def test_it_goes_on_with_what_the_cluster_has(executor, architectures, caplog, monkeypatch):
    monkeypatch.setattr("detnas_d2.search.ray_pool.TELL_AFTER", 0.3)
    faults = {a.choices: ["await 2 start.*"] for a in architectures}
    measurements = list(executor(faults, workers=3, cpus_per_worker=2).run(architectures[:10]))
    assert all(m.error is None for m in measurements) and len(measurements) == 10
    assert " of 3 workers wait for a place (2 CPU, 0 GPU each); they join" in caplog.text


def test_not_one_place(executor, architectures, monkeypatch):
    monkeypatch.setattr("detnas_d2.search.ray_pool.PLACE_LIMIT", 0.5)
    with pytest.raises(
        SearchError, match="in 0.5 s. Each needs 1 CPU, 1 GPU; the cluster has 4 CPU, 0 GPU"
    ):
        list(executor(gpus_per_worker=1).run(architectures))


def test_no_more_workers_than_candidates_and_those_that_died_idle(
    executor, architectures, tmp_path
):
    """The death of an idle one costs no attempt."""
    faults = {architectures[0].choices: ["await 2 start.*"]}
    four = executor(faults, workers=4, retries=0)
    assert list(four.run([])) == []
    assert starts(tmp_path) == []
    list(four.run(architectures[:2]))
    idle = starts(tmp_path)
    assert len(idle) == 2
    for process in idle:
        os.kill(process, signal.SIGKILL)
    (m,) = four.run(architectures[2:3])
    assert m.error is None and attempts(tmp_path, m.architecture.choices)[0] not in idle
