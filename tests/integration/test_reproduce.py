"""projects/DetNAS/reproduce.py: its plan, figures and table, and a study of tiny networks."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import statistics
import sys
from pathlib import Path

import pytest
from tiny_steps import DIGITS
from tiny_study import write_tiny_study

from detnas_d2.data.catalog import ROOT_VARIABLE
from detnas_d2.space import Architecture, CostTable, get_space
from detnas_d2.steps.run import ready

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """studies and reproduce, writing into a temporary folder."""
    monkeypatch.syspath_prepend(str(ROOT / "projects/DetNAS"))  # as of a script
    modules = []
    for name in ("studies", "reproduce"):
        path = ROOT / "projects" / "DetNAS" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        modules.append(module)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for module in modules:
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return modules


def test_the_plan_is_whole(tools):
    """Every file that a step reads is written by another, or drawn; nothing is trained twice."""
    studies, _ = tools
    for study in studies.STUDIES:
        study.draw_architectures()
    named = [s for study in studies.STUDIES for s in study.steps()]
    steps = {s.name: s for s in named}
    assert all(steps[s.name] == s for s in named)  # shared steps are the same ones
    written = [s.writes for s in steps.values()]
    assert len(set(written)) == len(written)
    assert len({s.done_file for s in steps.values()}) == len(steps)
    read = {file for s in steps.values() for file in s.reads}
    assert all(Path(f).is_file() for f in read - set(written))
    waiting = list(steps.values())
    while waiting:  # in some order all of them can run
        waiting.remove(ready(waiting, [])[0])


def test_rows_and_seeds(tools):
    """Three seeds a row, and five random architectures with one seed each."""
    studies, _ = tools
    for study in studies.STUDIES:
        rows: dict[str, list[tuple[str, int]]] = {}
        for n in study.networks():
            if n.row:
                rows.setdefault(n.row, []).extend((n.architecture, seed) for seed in n.seeds)
        random = rows.pop("Random")
        assert len({architecture for architecture, _ in random}) == len(random) == 5
        assert set(rows) == {"DetNAS-P", "DetNAS-S", "ClsNASNet", "ShuffleNetV2, all 3x3"}
        for runs in rows.values():
            assert len({architecture for architecture, _ in runs}) == 1
            assert [seed for _, seed in runs] == [0, 1, 2]
    study = studies.STUDIES[0]
    for step in study.retraining(study.networks()[0], 2):
        assert step.cfg.train.seed == 2


def test_drawn_architectures(tools):
    """The random ones are under the limit, the others spread over the whole range of costs."""
    studies, _ = tools
    study = studies.STUDIES[0]
    study.draw_architectures()
    space = get_space("demo")
    cost = CostTable(space, (128, 128))

    def flops(kind):
        files = sorted(Path(study.output, "architectures").glob(f"{kind}_*.json"))
        return sorted(cost.flops(Architecture.parse(str(f), space)) for f in files)

    assert max(flops("random")) <= 13_500_000 and len(flops("random")) == studies.RANDOM
    spread, step = flops("spread"), (cost.max_flops - cost.min_flops) / studies.SPREAD
    assert [int((f - cost.min_flops) / step) for f in spread] == list(range(studies.SPREAD))


def runs_of(rows):
    return [
        {"row": row, "network": row, "seed": i, "AP": ap, "AP50": 2 * ap, "VOC mAP": 3 * ap}
        for row, values in rows.items()
        for i, ap in enumerate(values)
    ]


def test_table(tools):
    _, reproduce = tools
    rows = {"DetNAS-P": [30.0, 31.0, 33.0], "Random": [20.0, 26.0], "": [1.0, 2.0]}
    results = {"a": {"title": "first", "minutes": 12.3, "runs": runs_of(rows)}}
    results["a"]["tau"] = {"tau": 0.514, "low": 0.2, "high": 0.81, "architectures": 17}
    text = reproduce.table(results)
    p = statistics.stdev(rows["DetNAS-P"])
    assert f"| DetNAS-P | 31.3±{p:.1f} / 62.7±{2 * p:.1f} / 94.0±{3 * p:.1f} |" in text
    assert "| Random | 23.0±4.2 / 46.0±8.5 / 69.0±12.7 |" in text
    assert "| minutes of its steps, one thread each | 12 |" in text
    assert "tau 0.51 (95%: 0.20 to 0.81) over 17 architectures" in text
    results["a"]["runs"][0]["AP"] = None  # nothing was detected
    assert "| DetNAS-P | none / " in reproduce.table(results)


def test_rank_correlation_pairs_each_network_with_itself(tools):
    """Fitness is found by architecture, AP by network."""
    studies, reproduce = tools
    study = studies.STUDIES[0]
    study.draw_architectures()
    found_by_accuracy = Path(study.output, "step3_search_classification/best_architecture.json")
    found_by_accuracy.parent.mkdir(parents=True)
    found_by_accuracy.write_text(json.dumps({"space": "demo", "architecture": [3] * 10}))
    ranked = [n for n in study.networks() if n.ranked]
    assert len(ranked) == 12
    assert not any("search_fpn" in n.architecture for n in ranked)
    scores, runs = [], []
    for i, n in enumerate(ranked):
        architecture = str(Architecture.parse(n.architecture, get_space("demo")))
        scores.append({"architecture": architecture, "fitness": float(i)})
        runs += [{"network": n.name, "AP": i**2 + d} for d in (-0.3, 0.3)]  # two seeds
    found = reproduce.rank_correlation(study, runs[::-1], scores[3:] + scores[:3])
    assert found["tau"] == pytest.approx(1) and found["architectures"] == 12
    assert [found["low"], found["high"]] == pytest.approx([1, 1])
    assert found["fitness_and_AP"] == [(float(i), pytest.approx(i**2)) for i in range(12)]


def test_a_study_by_the_real_scripts(tools, workspace, tmp_path, monkeypatch):
    """What trainings, searches and tests write is what the table is made of."""
    studies, reproduce = tools
    root = tmp_path / "root"
    write_tiny_study(root)
    study = studies.Study("digits_fpn", "tiny", "tiny")
    all_rows = studies.Study.networks
    rows = ("DetNAS-P", "Random")  # to save the seconds of the others
    networks = lambda study: [n for n in all_rows(study) if n.row in rows]  # noqa: E731
    monkeypatch.setattr(studies.Study, "networks", networks)
    for module in tools:
        monkeypatch.setattr(module, "ROOT", root)
        monkeypatch.setattr(module, "STUDIES", [study])
    monkeypatch.setattr(studies, "SEEDS", (0, 1))
    monkeypatch.setattr(studies, "RANDOM", 2)
    monkeypatch.setattr(reproduce, "OUTPUT", root / "output" / "reproduce")
    monkeypatch.setattr(reproduce, "STUDY_DIGITS", DIGITS)
    monkeypatch.setenv(ROOT_VARIABLE, "")
    here = dataclasses.replace(workspace, folder=root)

    def run_steps(steps, *, jobs):
        waiting, seconds = list(steps), {}
        while waiting:
            step = ready(waiting, [])[0]
            waiting.remove(step)
            script, *arguments = step.command[1:]
            status, output = here.run(Path(script).name, *arguments)
            assert status == 0, f"{step.name}: {status}\n{output}"
            seconds[step.name] = 1.0
        return seconds

    monkeypatch.setattr(reproduce, "run_steps", run_steps)
    reproduce.run([], jobs=1)
    (results,) = json.loads((root / "output/reproduce/results.json").read_text()).values()
    assert [run["row"] for run in results["runs"]] == ["DetNAS-P"] * 2 + ["Random"] * 2
    assert all(run["AP"] is not None and run["VOC mAP"] >= 0 for run in results["runs"])
    assert {name.rpartition("/")[2]: len(x) for name, x in results["searches"].items()} == {
        "step3_search_fpn": 18,
        "step3_search_scratch_fpn": 18,
        "step3_search_classification": 18,
    }
    table = (root / "output/reproduce/table.md").read_text()
    assert "| AP / AP50 / VOC mAP | tiny |" in table and "| DetNAS-P |" in table
