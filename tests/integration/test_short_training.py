"""search_net.py by short trainings: without a supernet, the same ledger in whatever processes."""

from __future__ import annotations

import pytest

CONFIG = """from ..common.search import short_training
from .step2 import dataloader, lr_multiplier, model, optimizer, train
from .step3 import search

search.fitness = short_training
search.algorithm.population = 4
search.algorithm.generations = 2
search.algorithm.parents = 2
train.init_checkpoint = ""
train.max_iter = 12
train.output_dir = "output/short"
"""


@pytest.fixture(scope="module")
def short(workspace):
    """The folder of an uninterrupted search, and what the script printed."""
    (workspace / "configs/tiny/short.py").write_text(CONFIG)
    status, output = workspace.call("search_net.py", "short")
    assert status == 0, output
    return workspace / "output/short", output


def test_files(workspace, short):
    """Those of any search, but for detections; the trainings leave none."""
    folder, output = short
    lines = workspace.evaluations(folder)
    assert [(x["status"], x["generation"]) for x in lines] == 4 * [("ok", 0)] + 4 * [("ok", 1)]
    assert len({x["fitness"] for x in lines}) > 1
    assert "Each candidate is trained for 3 of 12 iterations" in output
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("ledger.jsonl", "best_architecture.json", "search.json", "config.yaml", "report"),
        *("log.txt", ".lock"),
    }
    status, output = workspace.call("search_net.py", "short", "--resume", "optimizer.lr=0.1")
    assert "  optimizer.lr: 0.002 in the ledger, 0.1 now" in status


def test_resumed_by_workers(workspace, short):
    """From the ledger, all that one that was killed leaves: the same end, header and all."""
    pytest.importorskip("ray")
    reference, _ = short
    folder = workspace / "output/short_killed"
    folder.mkdir()
    lines = (reference / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "ledger.jsonl").write_bytes(b"".join(lines[:4]))
    arguments = ("--resume", "search.executor.workers=2", "train.output_dir=output/short_killed")
    status, output = workspace.call("search_net.py", "short", *arguments)
    assert status == 0, output
    found, expected = (
        {tuple(line["architecture"]): line for line in workspace.evaluations(f)}
        for f in (folder, reference)
    )
    assert found == expected
    best = "best_architecture.json"
    assert (folder / best).read_bytes() == (reference / best).read_bytes()


def test_on_from_a_part_of_a_supernet(workspace, short, supernet):
    """Its backbone, of which each candidate takes its path."""
    status, output = workspace.call(
        *("search_net.py", "short", "search.algorithm.generations=1"),
        *(f"train.init_checkpoint={supernet}", "train.init_backbone_only=True"),
        "train.output_dir=output/short_on",
    )
    assert status == 0, output
    found, scratch = (workspace.evaluations(f) for f in ("output/short_on", short[0]))
    assert [x["status"] for x in found] == 4 * ["ok"] and found != scratch[:4]
