"""search_net.py on worker processes: the same ledger as in one process, whatever dies."""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from pathlib import Path

import faulty_evaluator
import pytest
from faulty_fitness import attempts, is_alive

from detnas_d2.search.ray_session import ray_session

pytest.importorskip("ray")
RANDOM = ["search.algorithm.population=18", "search.algorithm.generations=1"]


@pytest.fixture(scope="module", autouse=True)
def session():
    """One for the searches of this process; those that are killed start their own."""
    with ray_session(None, cpus=4, gpus=0):
        yield


def content(folder: Path) -> tuple[dict, dict]:
    """The header, and the last line of each architecture, without seconds and checksum."""
    first, *lines = (json.loads(x) for x in (folder / "ledger.jsonl").read_text().splitlines())
    for line in lines:
        del line["seconds"], line["crc32"]
    return first["header"], {tuple(line["architecture"]): line for line in lines}


def test_driver_killed_and_resumed_with_other_workers(workspace, searched):
    """Two workers, then one: the ledger of the search in one process, and its best."""
    reference, _ = searched
    folder = workspace / "output/workers"
    arguments = ["train.output_dir=output/workers", "search.executor.retries=0"]
    process = workspace.start("search_net.py", "step3", *arguments, "search.executor.workers=2")
    ledger = folder / "ledger.jsonl"
    while not ledger.exists() or ledger.read_bytes().count(b"\n") < 4:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)
    log = (folder / "log.txt").read_text()
    workers = {int(x) for x in re.findall(r"process (\d+)\) is ready", log)}
    assert workers and all(map(is_alive, workers))
    process.kill()
    process.wait()
    assert len(content(folder)[1]) < 18
    status, output = workspace.call(
        "search_net.py", "step3", "--resume", *arguments, "search.executor.workers=1"
    )
    assert status == 0, output
    assert not any(map(is_alive, workers))
    assert content(folder) == content(reference)
    best = "best_architecture.json"
    assert (folder / best).read_bytes() == (reference / best).read_bytes()


def test_faults_and_failed_taken_up_again(workspace, supernet, monkeypatch, tmp_path):
    """Two workers; what fails is recorded, all else is as in one process."""
    status, output = workspace.call(
        "search_net.py", "step3", *RANDOM, "train.output_dir=output/before_faults"
    )
    assert status == 0, output
    _, expected = content(workspace / "output/before_faults")
    counts = Counter(line["fitness"] for line in expected.values())
    single = [a for a, line in expected.items() if counts[line["fitness"]] == 1]
    failing = dict(zip(single[:3], ("raise", "nan", "nothing"), strict=True))
    faults = {a: [fault] * 2 for a, fault in failing.items()}
    faults[single[3]] = ["kill"]
    texts = {str(expected[a]["fitness"]): values for a, values in faults.items()}
    (tmp_path / "faults.json").write_text(json.dumps(texts))

    # a module of the user's own, found where the driver finds it
    monkeypatch.syspath_prepend(os.path.dirname(faulty_evaluator.__file__))
    arguments = [
        *RANDOM,
        "train.output_dir=output/faulty",
        "dataloader.evaluator._target_=faulty_evaluator.FaultyEvaluator",
        f"+dataloader.evaluator.folder={tmp_path}",
    ]
    workers = "search.executor.workers=2"
    status, output = workspace.call("search_net.py", "step3", *arguments, workers)
    assert status == 0, output
    _, found = content(workspace / "output/faulty")
    assert {a for a, line in found.items() if line["status"] == "failed"} == set(failing)
    assert {a: x for a, x in found.items() if a not in failing} == {
        a: x for a, x in expected.items() if a not in failing
    }
    errors = [
        "ValueError: no (after 2 attempts)",
        "NotFinite: the fitness is nan (after 2 attempts)",
        "RuntimeError: The evaluator gives no metrics for what the model gives. (after 2 attempts)",
    ]
    assert [found[a]["error"] for a in failing] == errors
    for a in faults:
        assert len(attempts(tmp_path, [expected[a]["fitness"]])) == 2

    (tmp_path / "faults.json").write_text("{}")
    status, output = workspace.call("search_net.py", "step3", "--retry-failed", *arguments)
    assert status == 0, output
    assert content(workspace / "output/faulty")[1] == expected
    assert "15 candidates are in the ledger already" in output
