"""metrics.json and the metrics' history over an interruption."""

from __future__ import annotations

import json

import pytest
from detectron2.utils.events import EventStorage, JSONWriter, get_event_storage

from detnas_d2.engine.metrics import ResumableJSONWriter, restore_storage, storage_state


def lines(path):
    return [json.loads(line) for line in path.open()]


def put(storage, iteration, **scalars):
    storage.iter = iteration
    for name, value in scalars.items():
        storage.put_scalar(name, value, smoothing_hint=name != "lr")


def test_it_writes_what_detectron2s_writer_writes(tmp_path):
    ours = ResumableJSONWriter(str(tmp_path / "ours"), lambda: 0, window_size=3)
    theirs = JSONWriter(str(tmp_path / "theirs"), window_size=3)
    with EventStorage(0) as storage:
        for i in range(8):
            put(storage, i, loss=float((i * 5) % 7), lr=0.1 * i)
            if i % 2:
                ours.write()
                theirs.write()
    ours.close()
    theirs.close()
    assert (tmp_path / "ours").read_text() == (tmp_path / "theirs").read_text()
    assert [line["iteration"] for line in lines(tmp_path / "ours")] == [1, 3, 5, 7]


def test_lines_come_in_the_order_of_iterations(tmp_path):
    writer = ResumableJSONWriter(str(tmp_path / "m"), lambda: 0)
    with EventStorage(0) as storage:
        put(storage, 0, loss=1.0)
        put(storage, 2, AP=30.0)
        put(storage, 3, loss=2.0)
        writer.write()
        writer.write()  # nothing new
    assert [(line["iteration"], len(line)) for line in lines(tmp_path / "m")] == [(2, 2), (3, 2)]


OLD = ['{"iteration": 3, "loss": 1.0}', '{"iteration": 7, "loss": 2.0}', '{"iteration": 11}']


@pytest.mark.parametrize(
    ("start", "kept"), [(0, []), (3, []), (4, [3]), (7, [3]), (8, [3, 7]), (12, [3, 7, 11])]
)
@pytest.mark.parametrize("torn", ["", '{"iteration": 15, "lo', '{"loss": 3}\n', "5\n"])
def test_lines_after_the_checkpoint_are_dropped(tmp_path, start, kept, torn):
    path = tmp_path / "m"
    path.write_text("\n".join(OLD) + "\n" + torn)
    writer = ResumableJSONWriter(str(path), lambda: start)
    with EventStorage(start) as storage:
        put(storage, start, loss=9.0)
        writer.write()
    assert [line["iteration"] for line in lines(path)] == [*kept, start]
    assert not (tmp_path / "m.tmp").exists()


def test_a_last_line_without_its_end_is_whole_again(tmp_path):
    path = tmp_path / "m"
    path.write_text(OLD[0])
    writer = ResumableJSONWriter(str(path), lambda: 4)
    with EventStorage(4) as storage:
        put(storage, 4, loss=9.0)
        writer.write()
    assert [line["iteration"] for line in lines(path)] == [3, 4]


def test_scalars_of_the_run_before_are_not_written_again(tmp_path):
    path = tmp_path / "m"
    path.write_text("\n".join(OLD) + "\n")
    writer = ResumableJSONWriter(str(path), lambda: 8)
    with EventStorage(8) as storage:
        put(storage, 7, loss=2.0)
        put(storage, 8, lr=0.5)
        writer.write()
    assert lines(path)[2:] == [{"iteration": 8, "lr": 0.5}]


def test_the_start_is_asked_for_late_and_the_file_is_touched_only_then(tmp_path):
    start = [0]
    path = tmp_path / "m"
    path.write_text("\n".join(OLD) + "\n")
    writer = ResumableJSONWriter(str(path), lambda: start[0])
    start[0] = 8
    writer.close()
    assert len(lines(path)) == 3


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
        assert resumed.iter == 26 and get_event_storage() is resumed
        for i, value in enumerate(values[26:], 26):
            put(resumed, i, loss=value, lr=i)
            expected = whole.history("loss").values()[: i + 1][-20:]
            assert resumed.history("loss").values()[-20:] == expected
    assert resumed.latest_with_smoothing_hint(20)["loss"] == (
        sorted(values[20:])[9] / 2 + sorted(values[20:])[10] / 2,
        39,
    )
    assert resumed.latest()["lr"] == (39, 39)
    assert resumed.smoothing_hints() == {"loss": True, "lr": False}
