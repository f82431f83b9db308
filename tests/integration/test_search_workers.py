"""search_net.py on worker processes: the same ledger as in one process, whatever dies."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from functools import partial

import faulty_evaluator
import pytest
from faulty_fitness import attempts, is_alive

from detnas_d2.search.ray_session import ray_session

pytest.importorskip("ray")


@pytest.fixture(scope="module", autouse=True)
def session():
    """One for the searches of this process; those that are killed start their own."""
    with ray_session(None, cpus=4, gpus=0):
        yield


def by_architecture(workspace, folder) -> dict:
    """The last line of each architecture."""
    return {tuple(line["architecture"]): line for line in workspace.evaluations(folder)}


def test_driver_killed_and_resumed_without_workers(workspace, searched):
    """The ledger of the search in one process, and its best."""
    reference, _ = searched
    folder = workspace / "output/workers"
    arguments = ["search.executor.retries=0", "train.output_dir=output/workers"]
    process = workspace.search_until(4, "step3", "search.executor.workers=2", *arguments)
    workers = {
        int(x) for x in re.findall(r"process (\d+)\) is ready", (folder / "log.txt").read_text())
    }
    assert workers and all(map(is_alive, workers))
    process.kill()
    process.wait()
    assert len(workspace.evaluations(folder)) < 18
    status, output = workspace.call("search_net.py", "step3", "--resume", *arguments)
    assert status == 0, output
    assert not any(map(is_alive, workers))
    assert by_architecture(workspace, folder) == by_architecture(workspace, reference)
    best = "best_architecture.json"
    assert (folder / best).read_bytes() == (reference / best).read_bytes()
    header, of_reference = (
        (f / "ledger.jsonl").read_bytes().splitlines()[0] for f in (folder, reference)
    )
    assert header == of_reference


def test_faults_and_failed_taken_up_again(workspace, searched, monkeypatch, tmp_path):
    """Two workers; what fails is recorded, all else is as in one process."""
    reference = by_architecture(workspace, searched[0])
    counts = Counter(line["fitness"] for line in reference.values())
    single = [a for a, line in reference.items() if counts[line["fitness"]] == 1][:4]
    others = [a for a in reference if a not in single]
    expected = {a: {**reference[a], "generation": 0} for a in (*single, *others[:2])}
    failing = dict(zip(single[:3], ("raise", "nan", "nothing"), strict=True))
    faults = {a: [fault] * 2 for a, fault in failing.items()}
    faults[single[3]] = ["kill"]
    texts = {str(expected[a]["fitness"]): values for a, values in faults.items()}
    (tmp_path / "faults.json").write_text(json.dumps(texts))
    (workspace / "configs/tiny/given_to_workers.py").write_text(
        "from .step3 import dataloader, model, search, train\n"
        'search.algorithm = {"_target_": "detnas_d2.search.GivenArchitectures", '
        f'"architectures": {[",".join(map(str, a)) for a in expected]}}}\n'
    )

    # a module of the user's own, found where the driver finds it
    monkeypatch.syspath_prepend(os.path.dirname(faulty_evaluator.__file__))
    arguments = [
        "train.output_dir=output/faulty",
        "dataloader.evaluator._target_=faulty_evaluator.FaultyEvaluator",
        f"+dataloader.evaluator.folder={tmp_path}",
    ]
    call = partial(workspace.call, "search_net.py", "given_to_workers", *arguments)
    status, output = call("search.executor.workers=2")
    assert status == 0, output
    found = by_architecture(workspace, "output/faulty")
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
    status, output = call("--retry-failed")
    assert status == 0, output
    assert by_architecture(workspace, "output/faulty") == expected
    assert "3 candidates are in the ledger already" in output
