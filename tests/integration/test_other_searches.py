"""search_net.py with the searches beside Algorithm 2, and with architectures to begin with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

SEARCHES = {
    "official": '{**_algorithm, "population": 4, "generations": 2, "parents": 2, "mutations": 1, '
    '"crossovers": 1}',
    "random": '{**_algorithm, "count": 6}',
    "pareto": '{**_algorithm, "population": 6, "generations": 3}',
}


@pytest.fixture(scope="module")
def run(workspace, supernet):
    """run(name, ...) -> (status, output) of one of them; its folder is output/name."""
    for name, algorithm in SEARCHES.items():
        (workspace / f"configs/tiny/{name}.py").write_text(
            f"from ..common.search_algorithms import {name} as _algorithm\n"
            "from .step3 import dataloader, model, search, train\n"
            f"search.algorithm = {algorithm}\n"
            f'train.output_dir = "output/{name}"\n'
        )
    (workspace / "configs/tiny/given.py").write_text(
        "from .step3 import dataloader, model, search, train\n"
        'search.algorithm = {"_target_": "detnas_d2.search.GivenArchitectures", '
        '"architectures": ["0,0,0,0,0"]}\n'
    )
    return lambda name, *arguments: workspace.call("search_net.py", name, *arguments)


@pytest.fixture(scope="module")
def pareto(run, workspace) -> tuple[Path, str]:
    status, output = run("pareto")
    assert status == 0, output
    return workspace / "output/pareto", output


@pytest.mark.parametrize(("name", "generations"), [("official", [4, 4]), ("random", [6])])
def test_files(run, workspace, name, generations):
    status, output = run(name)
    assert status == 0, output
    folder = workspace / f"output/{name}"
    records = workspace.evaluations(folder)
    count = sum(generations)
    assert len({tuple(r["architecture"]) for r in records}) == count
    found = [r["generation"] for r in records]
    assert [found.count(g) for g in range(len(generations))] == generations
    assert all(r["flops"] <= 470_000 for r in records)
    best = json.loads((folder / "best_architecture.json").read_text())
    assert best["fitness"] == max(r["fitness"] for r in records)
    assert not (folder / "pareto_front.json").exists() and f"{count}/{count}, generation" in output


def test_pareto_front(workspace, pareto):
    """The file holds what a plain loop finds in the ledger, and the log shows it."""
    folder, output = pareto
    records = workspace.evaluations(folder)
    assert len(records) == 18
    front = json.loads((folder / "pareto_front.json").read_text())
    assert list(front) == ["space", "costs", "front"]
    assert (front["space"], front["costs"]) == ("tiny", ["flops"])
    keys = ("architecture", "fitness", "flops", "params")
    expected = [
        {key: r[key] for key in keys}
        for r in records
        if not any(
            q["fitness"] >= r["fitness"]
            and q["flops"] <= r["flops"]
            and (q["fitness"], q["flops"]) != (r["fitness"], r["flops"])
            for q in records
        )
    ]
    expected.sort(key=lambda r: (r["flops"], r["architecture"]))
    assert front["front"] == expected
    table = output[output.index("The front, written to output/pareto/pareto_front.json") :]
    assert table.splitlines()[1].split() == ["fitness", "flops", "generation", "architecture"]
    rows = [line.split() for line in table.splitlines()[2 : 2 + len(expected)]]
    assert [row[1] for row in rows] == [f"{r['flops']:,}" for r in expected]
    assert [row[3] for row in rows] == [",".join(map(str, r["architecture"])) for r in expected]
    best = json.loads((folder / "best_architecture.json").read_text())
    assert best["fitness"] == max(r["fitness"] for r in records)


def test_pareto_resumed(workspace, run, pareto):
    """From the ledger that a killed one leaves: the same end."""
    reference, _ = pareto
    folder = workspace / "output/pareto_killed"
    folder.mkdir()
    lines = (reference / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "ledger.jsonl").write_bytes(b"".join(lines[:11]))
    status, output = run("pareto", "--resume", "train.output_dir=output/pareto_killed")
    assert status == 0, output
    assert workspace.evaluations(folder) == workspace.evaluations(reference)
    for name in ("pareto_front.json", "best_architecture.json"):
        assert (folder / name).read_bytes() == (reference / name).read_bytes()


def test_it_begins_with_given_ones_and_the_best_of_a_ledger(workspace, run, searched, pareto):
    """What a search begins with is evaluated anew, and counts in the header."""
    former = searched[0] / "ledger.jsonl"
    copy = workspace / "output/former.jsonl"
    copy.write_bytes(former.read_bytes())
    ranked = sorted(workspace.evaluations(searched[0]), key=lambda r: -r["fitness"])
    given = ["search.initial=['0,0,0,0,0',output/pareto/best_architecture.json]"]
    given += ["search.initial_ledger=output/former.jsonl", "train.output_dir=output/warm"]
    given.append("search.algorithm.generations=1")
    status, output = run("step3", *given)
    assert status == 0, output
    assert re.search(
        r"The search begins with 2 given .* of the 18 in 'output/former.jsonl'", output
    )
    folder = workspace / "output/warm"
    first = {tuple(r["architecture"]) for r in workspace.evaluations(folder)}
    best = json.loads((pareto[0] / "best_architecture.json").read_text())["architecture"]
    expected = [(0, 0, 0, 0, 0), tuple(best), *(tuple(r["architecture"]) for r in ranked)]
    assert first == set(list(dict.fromkeys(expected))[:6])

    # the ledger moves: the same search; it changes: another one
    copy.rename(workspace / "output/moved.jsonl")
    before = (folder / "ledger.jsonl").read_bytes()
    given[1] = "search.initial_ledger=output/moved.jsonl"
    status, output = run("step3", "--resume", *given)
    assert status == 0, output
    assert (folder / "ledger.jsonl").read_bytes() == before
    lines = former.read_text().splitlines(keepends=True)
    (workspace / "output/moved.jsonl").write_text("".join(lines[:4]))
    status, _ = run("step3", "--resume", *given)
    assert "  initial: '6 architectures, " in status and "in the ledger" in status
    assert (folder / "ledger.jsonl").read_bytes() == before
