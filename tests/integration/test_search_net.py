"""search_net.py itself: killed and resumed, its files, and what it refuses."""

from __future__ import annotations

import json

import pytest

from detnas_d2.space import CostTable

STEP4 = "configs/tiny/step4.py"


def test_files(searched, tiny_space):
    """ledger.jsonl and best_architecture.json hold what the contract says, and no more."""
    folder, _ = searched
    header, *lines = [json.loads(x) for x in (folder / "ledger.jsonl").read_text().splitlines()]
    assert {"space", "config_hash", "checkpoint_hash", "seed"} <= header["header"].keys()
    assert header["header"]["space"] == "tiny"
    assert len(lines) == 18  # population 6, 3 generations
    cost = CostTable(tiny_space, (64, 64))
    keys = "architecture, status, fitness, metrics, flops, params, generation, seconds, crc32"
    for line in lines:
        assert ", ".join(line) == keys and line["status"] == "ok"
        assert line["fitness"] == line["metrics"]["bbox/AP"]
        a = tuple(line["architecture"])
        assert line["flops"] == cost.flops(list(a)) <= 470_000
        assert line["params"] == cost.params(list(a))
    assert len({tuple(x["architecture"]) for x in lines}) == 18
    assert [x["generation"] for x in lines] == [g for g in range(3) for _ in range(6)]

    best = json.loads((folder / "best_architecture.json").read_text())
    assert list(best) == ["space", "architecture", "fitness", "flops", "params"]
    top = max(lines, key=lambda x: x["fitness"])
    assert best == {"space": "tiny"} | {k: top[k] for k in list(best)[1:]}


def test_a_supernet_that_detects_nothing(workspace, supernet):
    """Fitness 0 is a fitness; nothing is tried again, and the log says what it means."""
    name = "output/nothing"
    status, output = workspace.call(
        *("search_net.py", "step3", f"train.output_dir={name}", "search.algorithm.generations=1"),
        "model.roi_heads.box_predictor.test_score_thresh=0.99",
    )
    assert status == 0, output
    lines = [json.loads(x) for x in (workspace / f"{name}/ledger.jsonl").read_text().splitlines()]
    assert len(lines) == 7
    assert all((x["status"], x["fitness"]) == ("ok", 0.0) for x in lines[1:])
    # all objects of the images are small ones
    (figures,) = {json.dumps(x["metrics"]) for x in lines[1:]}
    zero = {f"bbox/{kind}": 0.0 for kind in ("AP", "AP50", "AP75", "APs", "AP-zero", "AP-one")}
    assert json.loads(figures) == {**zero, "bbox/APm": None, "bbox/APl": None}
    assert "failed in attempt" not in output
    assert "nothing was detected" in output and "docs/faq.md" in output
    best = json.loads((workspace / f"{name}/best_architecture.json").read_text())
    assert best["fitness"] == 0.0
    assert (workspace / f"{name}/report/index.html").is_file()
    detections = json.loads((workspace / f"{name}/detections.json").read_text())
    assert detections["images"] and not any(x["detections"] for x in detections["images"])


def test_search_json(searched, tiny_space):
    """What a search is, for who looks at its folder: costs that give each candidate's figures."""
    folder, _ = searched
    search = json.loads((folder / "search.json").read_text())
    assert (search["candidates"], search["metric"]) == (18, "bbox/AP")
    assert search["algorithm"].endswith("EvolutionarySearch") and search["input_size"] == [64, 64]
    space = search["space"]
    assert (space["name"], space["fingerprint"]) == ("tiny", tiny_space.fingerprint)
    assert space["choices"] == [choice.name for choice in tiny_space.choices]
    assert search["baseline"] == [0] * 5
    assert space["stem"] == {"name": "stem", "channels": 8, "resolution": [32, 32]}
    assert [stage["blocks"] for stage in space["stages"]] == [1, 1, 2, 1]
    assert space["stages"][-1]["resolution"] == [2, 2]
    costs = {cost["name"]: cost for cost in search["costs"]}
    assert {name: cost["limit"] for name, cost in costs.items()} == {
        "flops": 470_000,
        "params": None,
    }
    for line in (folder / "ledger.jsonl").read_text().splitlines()[1:]:
        entry = json.loads(line)
        for name, cost in costs.items():
            blocks = zip(cost["blocks"], entry["architecture"], strict=True)
            assert entry[name] == cost["stem"] + sum(row[choice] for row, choice in blocks)
    (command,) = search["commands"]
    assert command.split()[:4] == [*["python", "train_net.py", "--config-file"], STEP4]
    assert ".architecture=BEST " in command and search["retrain"][0]["config"] == STEP4


def test_output(searched):
    """The top ten in order, and the command that retrains the best."""
    folder, output = searched
    lines = [json.loads(x) for x in (folder / "ledger.jsonl").read_text().splitlines()[1:]]
    best = sorted((x["fitness"] for x in lines), reverse=True)[:10]
    table = output[output.index("The top ten of 18 architectures") :].splitlines()[2:12]
    assert [row.split()[0] for row in table] == [str(i) for i in range(1, 11)]
    assert [row.split()[1] for row in table] == [f"{x:.4f}" for x in best]
    assert (
        "python train_net.py --config-file configs/tiny/step4.py model.backbone.bottom_up."
        "architecture=output/step3/best_architecture.json" in output
    )


def test_killed_and_resumed(workspace, searched, caplog):
    """SIGKILL in generation 0, a torn line: the same end."""
    reference, _ = searched
    output_dir, folder = "train.output_dir=output/killed", workspace / "output/killed"
    process = workspace.search_until(4, "step3", output_dir)
    process.kill()
    process.communicate()
    assert len(workspace.evaluations(folder)) < 18
    assert not (folder / "best_architecture.json").exists()
    with open(folder / "ledger.jsonl", "ab") as f:
        f.write(b'{"architecture": [0, 1, 2')

    status, output = workspace.call("search_net.py", "step3", "--resume", output_dir)
    assert status == 0, output
    assert "its last line is torn" in caplog.text
    assert "The top ten of 18" in output and "python train_net.py" in output
    assert workspace.evaluations(folder) == workspace.evaluations(reference)
    best = "best_architecture.json"
    assert (folder / best).read_bytes() == (reference / best).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "holds a search already. Pass --resume"),
        (["--resume", "search.seed=1"], "  seed: 0 in the ledger, 1 now"),
        (["--resume", "train.init_checkpoint=output/step1/model_final.pth"], "  checkpoint_hash: "),
        (
            ["search.fitness.calibration_batches=3", "--resume"],
            "differs in\n  search.fitness.calibration_batches: 2 in the ledger, 3 now\nRestore",
        ),
    ],
)
def test_another_search_is_refused(workspace, searched, arguments, message):
    folder, _ = searched
    before = (folder / "ledger.jsonl").read_bytes()
    status, _ = workspace.call("search_net.py", "step3", *arguments)
    assert isinstance(status, str) and status.startswith("search_net.py: ")
    assert message in status
    assert (folder / "ledger.jsonl").read_bytes() == before
