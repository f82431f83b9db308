"""Which steps belong together, wherever the folders lie."""

from __future__ import annotations

import json
import shutil

import yaml
from made_search import made_evaluations, space_of, write_made_search, write_made_training

from detnas_d2.report import write_report
from detnas_d2.report.folders import read_step, related_steps
from detnas_d2.search import rank, write_best


def write_steps(root):
    """Two supernet trainings, a search, its retraining and test, and one of another network."""
    space = space_of()
    evaluations = made_evaluations(space, 12)
    search = write_made_search(root / "step3", evaluations, space)
    write_best(search / "best_architecture.json", rank(evaluations)[0])
    config = yaml.safe_load((search / "config.yaml").read_text())
    config["train"]["init_checkpoint"] = str(root / "step2" / "model_final.pth")
    (search / "config.yaml").write_text(yaml.safe_dump(config))
    write_made_training(root / "step1")
    write_made_training(root / "step2", str(root / "step1" / "model_final.pth"))
    best = {"architecture": str(search / "best_architecture.json")}
    write_made_training(root / "step4", backbone=best)
    found = list(rank(evaluations)[0].architecture)
    write_made_training(root / "step4_by_hand", backbone={"architecture": found})
    write_made_training(root / "step5", str(root / "step4" / "model_final.pth"), backbone=best)
    (root / "step5" / "metrics.json").unlink()
    (root / "step5" / "evaluation.json").write_text(json.dumps({"bbox/AP": 42.0}))
    config = yaml.safe_load((root / "step5" / "config.yaml").read_text())
    config["dataloader"] = {"test": {"dataset": {"names": "made_test"}}}
    (root / "step5" / "config.yaml").write_text(yaml.safe_dump(config))
    write_made_training(root / "other", backbone={"architecture": [0] * 8})
    return search


def names(folder):
    return [s.name for s in related_steps(read_step(folder))]


def test_the_chain(tmp_path):
    expected = ["step1", "step2", "step3", "step4", "step4_by_hand", "step5"]
    search = write_steps(tmp_path / "run")
    assert names(search) == expected
    shutil.move(tmp_path / "run", tmp_path / "moved")
    assert names(tmp_path / "moved" / "step3") == expected


def test_a_circle_ends(tmp_path):
    search = write_steps(tmp_path)
    write_made_training(tmp_path / "step1", str(tmp_path / "step2" / "model_final.pth"))
    assert names(search)[:3] == ["step1", "step2", "step3"]


def test_the_page_of_all_steps(tmp_path):
    write_steps(tmp_path / "run")
    for folder, expected in ((tmp_path / "run", 5), (tmp_path / "run" / "step3", 4)):
        html = write_report(folder).read_text()
        assert html.count('alt="Training ') == expected
        assert "bbox/AP 42.00 on made_test" in html
        assert "bbox/AP 42.00" in html and "bbox/AP 31.50" in html
        assert "about 1 min 40 s" in html  # 200 iterations of 0.5 s
    assert 'alt="Training other,' in (tmp_path / "run" / "report" / "index.html").read_text()


def test_a_training_alone(tmp_path):
    html = write_report(write_made_training(tmp_path / "step2")).read_text()
    assert 'alt="Training step2, 201 iterations: the total loss goes from 0.100 to 0.010.' in html
    assert "There is no ledger.jsonl" in html
