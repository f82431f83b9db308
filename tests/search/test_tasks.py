"""How candidates are cut into tasks: in the time of an event queue, without worker processes."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict

import numpy as np
import pytest

from detnas_d2.search.executor import Attempt
from detnas_d2.search.tasks import PhaseSize, Tasks
from detnas_d2.space import Architecture

# of a search on COCO: statistics, these merged, outputs, the evaluator; their shares of the time
PHASES = [PhaseSize(*p) for p in ((250, ()), (1, (0,)), (1250, (1,)), (1, (1, 2)))]
SHARES = (0.09, 0.002, 0.888, 0.02)


@pytest.mark.parametrize(("workers", "population"), [(64, 50), (8, 8), (2, 1)])
def test_workers_are_busy_to_the_end(demo, workers, population):
    """Each unit is handed out once, to whoever is free. Candidates take 120 s in the mean, one of a
    population four times as long, and each task 20 ms on top of its units' time."""
    rng = np.random.default_rng(0)
    rows = itertools.product(range(4), repeat=demo.num_blocks)
    useful = wall = 0.0
    for _ in range(3):
        architectures = [Architecture(demo, row) for row in itertools.islice(rows, population)]
        seconds = 120 * rng.lognormal(-0.045, 0.3, population)
        seconds[population * 3 // 4] *= 4
        taken, end = simulate(dict(zip(architectures, seconds, strict=True)), workers)
        assert taken == {
            (a, phase): list(range(units))
            for a in architectures
            for phase, (units, _) in enumerate(PHASES)
        }
        useful, wall = useful + seconds.sum(), wall + end
    assert useful / workers / wall > 0.9


def simulate(seconds, workers):
    """The units of each phase, as they were handed out; when the last candidate has ended."""
    tasks, idle = Tasks(seconds, PHASES, workers), list(range(workers))
    running, taken, now, left = [], defaultdict(list), 0.0, len(seconds)
    numbers = itertools.count()
    while left:
        while idle and (task := tasks.next(idle[0], workers == 1, len(idle))) is not None:
            architecture, phase = task.candidate.architecture, task.candidate.phase
            taken[architecture, phase] += task.units
            each = seconds[architecture] * SHARES[phase] / PHASES[phase].units
            end = now + 0.02 + each * len(task.units)
            heapq.heappush(running, (end, next(numbers), idle.pop(0), task))
        now, _, worker, task = heapq.heappop(running)
        idle.append(worker)
        attempt = Attempt([(1.0, {})] * len(task.units), 0.0, None)
        left -= tasks.done(task, attempt) is not None
    return taken, now


def test_a_candidate_at_fault_costs_each_worker_one_attempt(demo):
    """Tasks that fail are tried again one by one, the first one first, and none once it is known
    that the candidate fails before. One that was lost with its machine is made up for even so, and
    its seconds count."""
    workers = range(64)
    tasks = Tasks([Architecture(demo, (0,) * demo.num_blocks)], PHASES, len(workers))

    def hand_out():
        given = (tasks.next(w, False, len(workers) - w) for w in workers)
        return [task for task in given if task is not None]

    def succeed(task):
        return tasks.done(task, Attempt([0.0] * len(task.units), 1.0, None))

    lost, *failing, late = hand_out()
    assert len(failing) == 61
    for worker, task in enumerate(failing):
        tasks.failed(task, worker)
    for task in failing[:3]:
        assert hand_out() == [task] and hand_out() == []
        assert succeed(task) is None
    assert hand_out() == failing[3:4]
    assert tasks.given_up(failing[3], Attempt((), 2.0, "ValueError: no")) is None
    tasks.failed(late, 63)
    tasks.again(lost)
    assert hand_out() == [lost]
    assert succeed(lost).seconds == 6
