"""tools/rank.py: a search beside networks trained alone, of a table or by the real scripts."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import rank
import yaml
from detectron2.config import LazyConfig
from fake_scripts import calls, write_fake_scripts
from made_search import made_evaluations, write_made_search
from own_images import with_tiny_data
from payloads import changed
from tiny_steps import write_tiny_steps

from detnas_d2.data import register_builtin_datasets
from detnas_d2.driver.estimate import Predicted
from detnas_d2.engine import load_config
from detnas_d2.search import rank as ranked
from detnas_d2.search import read_ledger
from detnas_d2.space import get_space


@pytest.fixture
def search(searched, workspace, tmp_path, monkeypatch):
    """A copy of a search's folder in a repository of its own, which is the working directory."""
    root = tmp_path / "root"
    write_tiny_steps(root)
    (root / "output").mkdir()
    (root / "output/step2").symlink_to(workspace / "output/step2")
    folder = Path(shutil.copytree(searched[0], root / "output/step3"))
    monkeypatch.setattr(rank, "ROOT", root)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(root / "datasets"))
    monkeypatch.chdir(root)
    register_builtin_datasets()
    yield folder
    monkeypatch.undo()
    register_builtin_datasets()


@pytest.fixture
def evaluations(search, tiny_space):
    return ranked(read_ledger(search / "ledger.jsonl", tiny_space)[1])


def content_of(search):
    return json.loads((search / "ranking.json").read_text(), parse_constant=pytest.fail)


def test_candidates_are_trained_and_tested(search, evaluations, workspace, monkeypatch, capsys):
    """Three of them, each in a folder of its own, from what the search's config retrains by."""
    here, ran = dataclasses.replace(workspace, folder=search.parents[1]), []

    def run_steps(steps, *, expected):
        assert set(expected) == {s.name for s in steps if s.kind == "train"}
        for step in steps:
            script, *arguments = step.command[1:]
            ran.append(arguments)
            assert here.run(Path(script).name, *arguments)[0] == 0, step.name

    monkeypatch.setattr(rank, "run_steps", run_steps)
    rank.main([str(search), "--networks", "3", "--estimate"])
    printed = capsys.readouterr().out
    assert "3 candidates, spread over the fitness" in printed and "takes about" in printed
    assert not ran and not (search / "ranking.json").exists()

    rank.main([str(search), "--networks", "3"])
    printed = capsys.readouterr().out
    content = content_of(search)
    assert len(ran) == 6 and sum("--eval-only" in arguments for arguments in ran) == 3
    best, worst = (list(evaluations[i].architecture) for i in (0, -1))
    compared = [n["architecture"] for n in content["networks"]]
    assert len(compared) == 3 and (compared[0], compared[-1]) == (best, worst)
    for network in content["networks"]:
        name = "-".join(map(str, network["architecture"])) + "_seed0"
        test = json.loads(Path("output/step4_alone", name, "evaluation.json").read_text())
        assert network["alone"] == [test["bbox/AP"] or 0.0]
    assert content["alone"]["images"] == "digits_val" and content["failed"] == 0
    assert content["meaning"] in printed and "Kendall's tau" in printed
    assert "How well the fitness ranks" in (search / "report/index.html").read_text()


@pytest.fixture
def without_report(monkeypatch):
    monkeypatch.setattr(rank, "write_report", lambda folder: folder)


def test_nothing_is_trained_twice(search, evaluations, without_report, monkeypatch):
    """After a stop, and with more networks and seeds: only what is missing."""
    root = search.parents[1]
    write_fake_scripts(root)
    monkeypatch.setattr(rank, "estimate", lambda *arguments, **kinds: {})
    for e in evaluations:  # what the fakes do not write
        for seed in (0, 1):
            name = f"{str(e.architecture).replace(',', '-')}_seed{seed}"
            (root / "output/step4_alone" / name).mkdir(parents=True)
            file = root / "output/step4_alone" / name / "evaluation.json"
            file.write_text(json.dumps({"bbox/AP": e.fitness + seed}))
    (root / "fail").write_text(f"architecture={evaluations[-1].architecture}")
    with pytest.raises(SystemExit, match="status 3"):
        rank.main([str(search), "--networks=3"])
    (root / "fail").unlink()
    for more, count in (("--networks=3", 6), ("--networks=3", 6), ("--networks=4 --seeds=2", 16)):
        rank.main([str(search), *more.split()])
        assert len(calls(root)) == count + 1  # one that failed
    assert len(set(calls(root))) == 16
    content = content_of(search)
    assert [len(n["alone"]) for n in content["networks"]] == [2] * 4
    assert content["figures"]["seeds"]["networks"] == 4


def table_of(evaluations):
    return [
        {
            "architecture": list(e.architecture),
            "AP": [e.fitness],
            "validation": {"AP": [-e.fitness]},
        }
        for e in evaluations
    ]


def test_with_a_table(search, evaluations, without_report, tmp_path, capsys):
    """Of test images or validation images; a network that the search does not have is left out."""
    entries, file = table_of(evaluations), tmp_path / "table.json"
    other = [2] * 5
    assert other not in [e["architecture"] for e in entries]
    entries.append({**entries[0], "architecture": other})
    file.write_text(json.dumps({"architectures": entries}))
    rank.main([str(search), "--truth", str(file)])
    made = content_of(search)
    assert (
        made["figures"]["fitness"]["tau"]["value"] == pytest.approx(1) and made["not_scored"] == 1
    )
    assert made["alone"] == {"metric": "AP", "images": "test images", "source": "table.json"}
    assert "orders 100% of pairs as training alone does" in capsys.readouterr().out
    rank.main([str(search), "--truth", str(file), "--images", "validation"])
    made = content_of(search)
    assert made["figures"]["fitness"]["tau"]["value"] == pytest.approx(-1)
    assert made["alone"]["images"] == "validation images"


def test_own_data(tmp_path, monkeypatch):
    """The machine's row has the GPUs of a training."""
    ran = []
    monkeypatch.setattr(rank, "estimate", lambda steps, *arguments, **kinds: ran.extend(steps))
    config = Path(rank.ROOT, "configs/custom/step3_search.py")
    with with_tiny_data(config, str(tmp_path)) as config:
        settings = config.parent / "settings.py"
        settings.write_text(settings.read_text().replace("'cpu'", "'2gpu'"))
        monkeypatch.setattr(rank, "ROOT", config.parents[2])
        cfg, space = load_config(str(config)), get_space("300m")
        evaluations = made_evaluations(space, 9)
        folder = write_made_search(config.parents[2] / cfg.train.output_dir, evaluations, space)
        LazyConfig.save(cfg, str(folder / "config.yaml"))
        (folder / "best_architecture.json").touch()
        rank.main([str(folder), "--estimate"])
    assert [s.kind for s in ran] == ["train", "test"] * 8
    assert {(s.config.name, s.gpus) for s in ran} == {("step4_detection.py", 2)}


def test_what_is_refused(search, evaluations, tmp_path, monkeypatch):
    def refused(*arguments):
        with pytest.raises(SystemExit) as end:
            rank.main([str(a) for a in arguments])
        return str(end.value)

    assert "There is no ledger.jsonl in" in refused(tmp_path)
    file = tmp_path / "table.json"
    file.write_text(json.dumps({"architectures": table_of(evaluations[:2])}))
    assert "2 of the 2 networks trained alone have a fitness" in refused(search, "--truth", file)
    day = Predicted("", "iteration", 86_400, 1)
    monkeypatch.setattr("run_steps.predict", lambda name, *_: day._replace(name=name))
    assert "That is over a day. Go on as it is with --long." in refused(search)
    (search / "best_architecture.json").rename(tmp_path / "best.json")
    assert "has not ended" in refused(search)
    (tmp_path / "best.json").rename(search / "best_architecture.json")
    (tmp_path / "evil.py").write_text("raise RuntimeError")
    config = yaml.safe_load((search / "config.yaml").read_text())
    for retrain, said in (
        ([str(tmp_path / "evil.py")], "evil.py, by which this search trains networks alone, is a"),
        ([], "give a table of networks trained alone"),
    ):
        text = yaml.safe_dump(changed(config, "search.retrain", retrain))
        (search / "config.yaml").write_text(text)
        assert said in refused(search)
    assert not (search / "ranking.json").exists()
