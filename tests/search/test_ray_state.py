"""Which worker gets which candidate, and what waiting workers mean."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace

import pytest

from detnas_d2.search import SearchError
from detnas_d2.search.ray_places import Places
from detnas_d2.search.ray_state import JobQueue, State, Worker
from detnas_d2.search.ray_worker import Place

PLACING, PREPARING, IDLE, BUSY = State
RAY = SimpleNamespace(
    cluster_resources=lambda: {"CPU": 8.0, "GPU": 2.0}, available_resources=lambda: {"CPU": 3.0}
)


def worker(gpu="0", state=IDLE, node="a", waited=0.0, **fields):
    place = None if state is PLACING else Place(node, (gpu,), "host", 1)
    since = time.monotonic() - waited
    return Worker(0, None, None, since, state=state, place=place, **fields)


def failed_on(one):
    queue = JobQueue(["x"])
    job = queue.take(one, [one])
    job.failed_on = one
    queue.put_back(job)
    return queue


def test_candidates_come_in_order_and_the_put_back_first():
    queue, one = JobQueue("abc"), worker()
    first = queue.take(one, [one])
    queue.put_back(first)
    taken = [queue.take(one, [one]) for _ in range(4)]
    assert [job and job.architecture for job in taken] == ["a", "b", "c", None]


def test_a_retry_goes_to_another_place_where_one_is_at_work():
    failed, same, other = worker(), worker(), worker("1")
    for workers, allowed in (
        ([failed, same, other], [other]),
        ([failed, same], [same]),
        ([same], [same]),
        ([same, worker(node="b", state=PREPARING)], [same]),  # it may never be ready
        ([same, worker(node="b", state=BUSY)], []),
        ([failed], []),
    ):
        idle = [w for w in workers if w.state is IDLE]
        assert [w for w in idle if failed_on(failed).take(w, workers)] == allowed


def test_a_worker_that_may_take_nothing_is_replaced_only_where_nobody_else_will():
    failed = worker()
    for others, needed in (
        ([], True),
        ([worker(state=PLACING)], True),
        ([worker(state=PREPARING)], False),
        ([worker(state=BUSY)], False),
        ([worker("1", state=BUSY)], False),
    ):
        assert failed_on(failed).needs_other(failed, [failed, *others]) == needed
    assert not JobQueue().needs_other(failed, [failed])


def test_when_not_one_has_a_place():
    places = Places({"num_cpus": 2, "num_gpus": 1}, 120.0)
    waiting = [worker(state=PLACING, waited=s) for s in (500.0, 100.0)]
    assert places.check(RAY, [*waiting, worker()]) == math.inf
    # all that had one are replaced at once, while others have waited for long
    assert places.check(RAY, waiting) == pytest.approx(time.monotonic() + 20, abs=5)
    late = [worker(state=PLACING, waited=s) for s in (500.0, 120.5)]
    with pytest.raises(SearchError, match="in 120 s. Each needs 2 CPU, 1 GPU; .* 8 CPU, 2 GPU, of"):
        places.check(RAY, late)


def test_waiting_is_told_once(caplog):
    places = Places({"num_cpus": 1, "num_gpus": 0}, 120.0)
    workers = [worker(), worker(state=PLACING, waited=4.0)]
    assert places.check(RAY, workers) == pytest.approx(time.monotonic() + 6, abs=3)
    assert not caplog.text
    workers[1].since -= 20
    assert [places.check(RAY, workers) for _ in range(2)] == [math.inf] * 2
    assert caplog.text.count("1 of 2 workers wait for a place (1 CPU, 0 GPU each)") == 1


@pytest.mark.parametrize(
    ("one", "hope"),
    [
        ({"was_ready": True, "failed_starts": 2}, True),
        ({"state": PREPARING}, True),
        ({"state": PREPARING, "failed_starts": 1}, False),
        ({"state": PLACING, "waited": 5.0}, True),
        ({"state": PLACING, "waited": 500.0}, False),
    ],
)
def test_whether_a_worker_may_yet_be_ready(one, hope):
    places = Places({"num_cpus": 1, "num_gpus": 0}, 120.0)
    assert places.is_hope([worker(state=PREPARING, failed_starts=1), worker(**one)]) == hope
