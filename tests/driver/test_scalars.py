"""The scalars of a search, read back by TensorBoard's own reader."""

from __future__ import annotations

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from detnas_d2.driver import SearchScalars
from detnas_d2.search import Evaluation
from detnas_d2.space import Architecture, get_space

SPACE = get_space("demo")


def evaluation(choice: int, fitness: float | None, generation: int = 0) -> Evaluation:
    return Evaluation(
        architecture=Architecture(SPACE, (choice,) * SPACE.num_blocks),
        status="failed" if fitness is None else "ok",
        fitness=fitness,
        metrics={} if fitness is None else {"bbox/AP": fitness, "bbox/APl": None},
        flops=2_500_000 * (choice + 1),
        params=500_000,
        generation=generation,
        seconds=1.5,
        error="ValueError: no" if fitness is None else None,
    )


def test_scalars_of_a_search(tmp_path):
    with SearchScalars(tmp_path) as scalars:
        scalars.begin_batch([])
        scalars.evaluated(evaluation(0, 2.0))
        scalars.evaluated(evaluation(1, None))
        scalars.begin_batch([evaluation(0, 2.0)])  # asked for again: no new candidate
        scalars.evaluated(evaluation(2, 1.5, generation=1))
        scalars.evaluated(evaluation(3, 2.5, generation=1))
    with SearchScalars(tmp_path) as scalars:  # resumed; the last was not in the ledger yet
        scalars.begin_batch([evaluation(0, 2.0), evaluation(1, None), evaluation(2, 1.5, 1)])
        scalars.evaluated(evaluation(3, 3.0, generation=1))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tags = events.Tags()["scalars"]
    found = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}
    assert found.pop("search/seconds") == [(i, 1.5) for i in (1, 2, 3, 4)]
    assert found == {
        "search/fitness": [(1, 2.0), (3, 1.5), (4, 3.0)],
        "search/best_fitness": [(1, 2.0), (2, 2.0), (3, 2.0), (4, 3.0)],
        "search/metrics/bbox/AP": [(1, 2.0), (3, 1.5), (4, 3.0)],
        "search/flops": [(1, 2.5), (2, 5.0), (3, 7.5), (4, 10.0)],
        "search/params": [(i, 0.5) for i in (1, 2, 3, 4)],
        "search/generation": [(1, 0.0), (2, 0.0), (3, 1.0), (4, 1.0)],
        "search/failed": [(1, 0.0), (2, 1.0), (3, 1.0), (4, 1.0)],
    }
