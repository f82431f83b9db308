"""tools/chaos.py on fake scripts that resume rightly or wrongly; what it compares and plans."""

from __future__ import annotations

import json
import re

import chaos
import chaos_chain
import chaos_runs
import pytest
import torch
from chaos_compare import differences
from chaos_kinds import FULL, SCRIPT, SHORT, STEPS, Kind, plan

# Counts to 20 in a file; {} makes it wrong in one way.
FAKE = """
import os, pathlib, sys, time
folder = pathlib.Path(dict(a.split("=", 1) for a in sys.argv if "=" in a)["train.output_dir"])
folder.mkdir(parents=True, exist_ok=True)
resume = "--resume" in sys.argv
counter, temporary = folder / "counter", folder / "counter.tmp"
start = int(counter.read_text()) if counter.exists() else 0
if start and not resume:
    sys.exit("holds a run already")
{}
for i in range(start, 20):
    temporary.write_text(str(i + 1))
    time.sleep(0.01)
    temporary.replace(counter)
"""
WRONG = {
    "starts": "(folder / 'starts').open('a').write('x')",
    "refuses": "sys.exit('refused') if resume else None",
    "leaves": "resume and (folder / 'model.pth.tmp').touch()",
    "hangs": "resume and time.sleep(60)",
    "waits": "resume and print('Another run writes to it; waiting for its end.')",
}
KINDS = (
    Kind("any moment", 1, ("step1",)),
    Kind("while it writes", 1, ("step1",), writing=True),
    Kind("alone", 1, ("step1",), forked=False, victim=SCRIPT),
)


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Runs 6 kills on a fake script."""
    for module in (chaos_chain, chaos_runs):
        monkeypatch.setattr(module, "ROOT", tmp_path)

    def make(wrong: str = "") -> chaos_chain.Chaos:
        (tmp_path / "train_net.py").write_text(FAKE.format(wrong))
        made = chaos_chain.Chaos(tmp_path, plan(6, KINDS), seed=0)
        try:
            chaos.run(made, jobs=2)
        finally:
            made.close()
        return made

    return make


def test_a_script_that_resumes(make, capsys):
    made = make()
    assert made.failures == [] and made.kills == []
    assert made.survived == {"any moment": 2, "while it writes": 2, "alone": 2}
    assert made.half_written == capsys.readouterr().out.count("half-written")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("starts", "starts: b'x' and b'xx"),
        ("refuses", "ended with status 1; its output is in .*\n    refused"),
        ("leaves", "model.pth.tmp is left over"),
        ("hangs", "did not come to its end"),
        ("waits", "found the lock of a run that was killed"),
    ],
)
def test_one_that_does_not(make, monkeypatch, wrong, message):
    monkeypatch.setattr(chaos_chain, "TOO_LONG", 2)
    made = make(WRONG[wrong])
    assert made.failures
    assert all(re.search(message, failure) for failure in made.failures)
    assert made.survived.total() < 6


def write(folder, **other):
    """What a training and a search leave, or something `other` in one place."""
    folder.mkdir()
    state = {"moment": torch.tensor([0.5, float("nan")]), "step": 7, "names": ["a", "b"]}
    state |= other.get("state", {})
    model = {"weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(3)}
    model |= other.get("model", {})
    torch.save({"model": model, "trainer": [state]}, folder / "model_final.pth")
    metrics = [{"iteration": i, "loss": i / 3, "nan": float("nan")} for i in range(3)]
    metrics[1] |= other.get("metrics", {})
    lines = [{"architecture": [i], "fitness": i / 7, "seconds": 0.1} for i in range(3)]
    lines[1] |= other.get("ledger", {})
    ledger = [{"header": {"seed": 0}}, *lines[:: other.get("order", 1)]]
    for name, records in (("metrics.json", metrics), ("ledger.jsonl", ledger)):
        (folder / name).write_text("".join(json.dumps(x) + "\n" for x in records))
    config = f"train:\n  output_dir: {folder}\n  max_iter: {other.get('max_iter', 3)}\n"
    (folder / "config.yaml").write_text(config)
    (folder / "best_architecture.json").write_text(other.get("best", "{}"))
    (folder / "log.txt").write_text(str(folder))
    return folder


def compare(tmp_path, **other):
    return list(differences(write(tmp_path / "a"), write(tmp_path / "b", **other)))


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"order": -1},
        {"metrics": {"time": 3.0, "eta_seconds": 1.0}},
        {"ledger": {"seconds": 0.2, "crc32": "0a"}},
    ],
)
def test_the_same(tmp_path, other):
    assert compare(tmp_path, **other) == []


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (
            {"model": {"weight": torch.arange(6.0).reshape(2, 3).nextafter(torch.tensor(9.0))}},
            "model_final.pth: model: weight: 6 of 6 elements, first tensor(0.) and tensor(1.4",
        ),
        (
            {"model": {"weight": torch.arange(6)}},
            "model_final.pth: model: weight: torch.float32 (2, 3) and torch.int64 (6,)",
        ),
        ({"state": {"step": 8}}, "model_final.pth: trainer: 0: step: 7 and 8"),
        ({"state": {"step": 7.0}}, "model_final.pth: trainer: 0: step: int and float"),
        ({"state": {"names": ["a"]}}, "model_final.pth: trainer: 0: names: 2 and 1 items"),
        ({"state": {"new": 1}}, "model_final.pth: trainer: 0: keys "),
        ({"state": {"moment": torch.tensor([0.5, 0.0])}}, "model_final.pth: trainer: 0: moment: 1"),
        ({"metrics": {"loss": 0.1}}, "metrics.json: 1: "),
        ({"ledger": {"fitness": 0.1}}, "ledger.jsonl: 2: "),
        ({"max_iter": 4}, "config.yaml: 1: b'  max_iter: 3' and b'  max_iter: 4'"),
        ({"best": "{ }"}, "best_architecture.json: b'{}' and b'{ }'"),
    ],
)
def test_one_difference(tmp_path, other, difference):
    (found,) = compare(tmp_path, **other)
    assert found.startswith(difference)


def test_files_too_many_and_too_few(tmp_path):
    a, b = write(tmp_path / "a"), write(tmp_path / "b")
    (b / "model_0000003.pth.tmp").touch()
    (a / "model_0000006.pth").touch()
    (b / "model_0000007.pth").touch()
    (b / "model_0000005.pth").touch()
    (b / "best_architecture.json").unlink()
    (b / "events.out.tfevents.2").touch()
    assert list(differences(a, b)) == [
        "1 and 2 checkpoints of an iteration",
        "best_architecture.json is missing",
        "model_0000003.pth.tmp is left over",
    ]


@pytest.mark.parametrize(("kinds", "count"), [(FULL, 100), (FULL, 37), (SHORT, 5)])
def test_the_plan(kinds, count):
    """All kinds by their shares, of training and search."""
    kills = plan(count, kinds)
    assert len(kills) == count
    assert sum(kind.of_20 for kind in kinds) == 20
    for kind in kinds:
        share = sum(kill.kind == kind for kill in kills)
        assert share > 0 and abs(share - count * kind.of_20 / 20) <= 1
    scripts = {STEPS[kill.step][0] for kill in kills}
    assert scripts == {"train_net.py", "search_net.py"}
    if count == 100:
        assert {kill.step for kill in kills} == set(STEPS)
        assert sum(not kill.kind.forked for kill in kills) >= 10
        assert sum(kill.kind.writing for kill in kills) >= 10
