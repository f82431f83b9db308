"""search_net.py with the searches beside Algorithm 2, and with architectures to begin with."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from detnas_d2.search import Ledger, make_header
from detnas_d2.space import get_space

SEARCHES = {
    "official": '{**_algorithm, "population": 6, "generations": 3, "parents": 3, "mutations": 2, '
    '"crossovers": 2}',
    "random": '{**_algorithm, "count": 18}',
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


def read(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()[1:]]


def without_seconds(folder: Path) -> list[dict]:
    records = read(folder)
    for record in records:
        del record["seconds"]
        record.pop("crc32", None)
    return sorted(records, key=lambda r: r["architecture"])


@pytest.mark.parametrize(("name", "generations"), [("official", [6] * 3), ("random", [18])])
def test_files(run, workspace, name, generations):
    status, output = run(name)
    assert status == 0, output
    folder = workspace / f"output/{name}"
    records = read(folder)
    assert len({tuple(r["architecture"]) for r in records}) == 18
    found = [r["generation"] for r in records]
    assert [found.count(g) for g in range(len(generations))] == generations
    assert all(r["flops"] <= 470_000 for r in records)
    best = json.loads((folder / "best_architecture.json").read_text())
    assert best["fitness"] == max(r["fitness"] for r in records)
    assert not (folder / "pareto_front.json").exists() and "18/18, generation" in output


def test_pareto_front(pareto):
    """The file holds what a plain loop finds in the ledger, and the log shows it."""
    folder, output = pareto
    records = read(folder)
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


def test_pareto_killed_and_resumed(workspace, run, pareto):
    reference, _ = pareto
    folder = workspace / "output/pareto_killed"
    output_dir = "train.output_dir=output/pareto_killed"
    for lines, flags in ((4, ()), (11, ("--resume",))):
        process = workspace.start("search_net.py", "pareto", *flags, output_dir)
        ledger = folder / "ledger.jsonl"
        while not ledger.exists() or ledger.read_bytes().count(b"\n") < lines:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.002)
        process.kill()
        process.communicate()
    assert not (folder / "pareto_front.json").exists()
    status, output = run("pareto", "--resume", output_dir)
    assert status == 0, output
    assert without_seconds(folder) == without_seconds(reference)
    for name in ("pareto_front.json", "best_architecture.json"):
        assert (folder / name).read_bytes() == (reference / name).read_bytes()


def test_it_begins_with_given_ones_and_the_best_of_a_ledger(workspace, run, searched, pareto):
    """What a search begins with is evaluated anew, and counts in the header."""
    former = searched[0] / "ledger.jsonl"
    copy = workspace / "output/former.jsonl"
    copy.write_bytes(former.read_bytes())
    ranked = sorted(read(searched[0]), key=lambda r: -r["fitness"])
    given = ["search.initial=['0,0,0,0,0',output/pareto/best_architecture.json]"]
    given += ["search.initial_ledger=output/former.jsonl", "train.output_dir=output/warm"]
    status, output = run("step3", *given)
    assert status == 0, output
    assert re.search(
        r"The search begins with 2 given .* of the 18 in 'output/former.jsonl'", output
    )
    folder = workspace / "output/warm"
    records = read(folder)
    assert len(records) == 18
    first = {tuple(r["architecture"]) for r in records if r["generation"] == 0}
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


@pytest.mark.parametrize(
    ("step", "overrides", "message"),
    [
        ("step3", ["search.algorithm.parents=7"], "parents of the search is 7; expected from 1 to"),
        ("official", ["search.algorithm.mutations=5"], "crossovers of the search is 2; expected"),
        (
            "pareto",
            ["search.algorithm.costs=[joules]"],
            "no cost 'joules'; known are flops, params,",
        ),
        ("pareto", ["search.algorithm.costs=[]"], "costs of the search is {}; expected at least"),
        ("random", ["search.initial=[[0,0]]"], "got 2 choices, expected 5"),
        ("step3", ["search.initial=1,1,1,1,1"], "over the search's limit: architecture 1,1,1,1,1."),
        ("step3", ["search.initial_ledger=output/no.jsonl"], "can't read 'output/no.jsonl'"),
        ("step3", ["search.initial_ledger=output/of_demo.jsonl"], "of a search in space 'demo'"),
        ("given", ["search.initial=[0,0,0,0,1]"], "GivenArchitectures takes no architectures to"),
    ],
)
def test_wrong_settings_cost_nothing(workspace, run, step, overrides, message):
    """They are refused before anything is written."""
    demo = get_space("demo")
    file = workspace / "output/of_demo.jsonl"
    Ledger(file, make_header(demo, "config", "weights", 0), demo, resume=True).close()
    status, _ = run(step, "train.output_dir=output/refused", *overrides)
    assert isinstance(status, str) and message in status
    assert not (workspace / "output/refused").exists()
