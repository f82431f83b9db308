"""metrics.json and the metrics' history over an interruption."""

from __future__ import annotations

import json

import pytest
from detectron2.utils.events import EventStorage, JSONWriter

from detnas_d2.engine.metrics import ResumableJSONWriter, restore_storage, storage_state


def lines(path):
    return [json.loads(line) for line in path.open()]


def put(storage, iteration, **scalars):
    storage.iter = iteration
    for name, value in scalars.items():
        storage.put_scalar(name, value, smoothing_hint=name != "lr")


def test_it_writes_what_detectron2s_writer_writes_in_the_order_of_iterations(tmp_path):
    ours = ResumableJSONWriter(str(tmp_path / "ours"), lambda: 0)
    theirs = JSONWriter(str(tmp_path / "theirs"))
    with EventStorage(0) as storage:
        for i in range(8):
            put(storage, i, loss=float((i * 5) % 7), lr=0.1 * i)
            if i % 2:
                ours.write()
                ours.write()  # nothing new
                theirs.write()
        put(storage, 10, AP=30.0)
        put(storage, 11, loss=2.0)
        ours.write()
        theirs.write()
    theirs.close()
    expected = sorted(lines(tmp_path / "theirs"), key=lambda line: line["iteration"])
    assert lines(tmp_path / "ours") == expected
    assert [line["iteration"] for line in expected] == [1, 3, 5, 7, 10, 11]


OLD = '{"iteration": 3, "loss": 1.0}\n{"iteration": 7, "loss": 2.0}\n{"iteration": 11}'


@pytest.mark.parametrize(
    ("start", "kept"), [(0, []), (3, []), (4, [3]), (7, [3]), (8, [3, 7]), (12, [3, 7, 11])]
)
@pytest.mark.parametrize("torn", ["", "\n", '\n{"iteration": 15, "lo', '\n{"loss": 3}\n', "\n5\n"])
def test_lines_after_the_checkpoint_are_dropped(tmp_path, start, kept, torn):
    path = tmp_path / "m"
    path.write_text(OLD + torn)
    starts = [99]
    writer = ResumableJSONWriter(str(path), lambda: starts[-1])
    starts.append(start)  # it is known only when the checkpoint is loaded
    with EventStorage(start) as storage:
        put(storage, start - 1, loss=2.0)  # of the run before
        put(storage, start, lr=9.0)
        writer.write()
    assert [line["iteration"] for line in lines(path)] == [
        *kept,
        *([start - 1] if start - 1 > max(kept, default=-1) else []),  # not written before
        start,
    ]


def test_medians_go_on_over_an_interruption():
    values = [float((7 * i) % 11) for i in range(40)]
    with EventStorage(0) as whole:
        for i, value in enumerate(values):
            put(whole, i, loss=value, lr=i)
            whole.put_scalar("time", value)
            if i == 25:
                state = json.loads(json.dumps(storage_state(whole)))  # builtins alone
    assert set(state) == {"loss", "lr"}  # times are no function of the step
    assert len(state["loss"]["values"]) == 20
    with EventStorage(26) as resumed:
        restore_storage(resumed, state)
        assert resumed.iter == 26
        for i, value in enumerate(values[26:], 26):
            put(resumed, i, loss=value, lr=i)
    expected = {k: v for k, v in whole.latest_with_smoothing_hint(20).items() if k != "time"}
    assert resumed.latest_with_smoothing_hint(20) == expected
    assert resumed.smoothing_hints() == {"loss": True, "lr": False}
