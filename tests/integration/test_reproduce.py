"""projects/DetNAS/reproduce.py: its plan, figures and table, and a study of tiny networks."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path

import pytest
from tiny_steps import DIGITS, write_tiny_steps

from detnas_d2.data.catalog import ROOT_VARIABLE
from detnas_d2.space import Architecture, get_space
from detnas_d2.steps.run import ready

ROOT = Path(__file__).resolve().parents[2]
TRAIN = "dataloader, lr_multiplier, model, optimizer, {}train"
SUPERNET, NETWORK = TRAIN.format("path_sampler, "), TRAIN.format("")
LOW_SCORES = "model.roi_heads.box_predictor.test_score_thresh = 0.0"  # it then finds objects
SHORT = "search.algorithm.update(population=3, generations=1, parents=2)"
# name: the file that it imports from, what, the step whose checkpoint it reads, lines
CONFIGS = {
    "step1_supernet": ("step1", SUPERNET, "", ""),
    "step2_supernet_fpn": ("step2", SUPERNET, "step1_supernet", LOW_SCORES),
    "step3_search_fpn": (
        "step3",
        "dataloader, model, search, train",
        "step2_supernet_fpn",
        f"{LOW_SCORES}\n{SHORT}",
    ),
    "step3_search_classification": (
        "step1_supernet",
        "dataloader, model, train",
        "step1_supernet",
        f"from .step3 import search\n{SHORT}\nsearch.fitness.metric = 'classification/top1'",
    ),
    "step4_classification": (
        "step1_supernet",
        NETWORK,
        "",
        "model.backbone._target_ = 'detnas_d2.modeling.StandAloneNetwork'\n"
        "model.backbone.architecture = [0] * 5\n"
        "train.max_iter = 1",
    ),
    "step4_detection_fpn": (
        "step2_supernet_fpn",
        NETWORK,
        "step4_classification",
        "model.backbone.bottom_up._target_ = 'detnas_d2.modeling.StandAloneNetwork'\n"
        "model.backbone.bottom_up.architecture = [0] * 5\n"
        "train.max_iter = 1\n"
        "dataloader.final_test = 'digits_test'",
    ),
}


def write_tiny_study(root: Path) -> None:
    """configs/tiny with all steps of a study, and the digits, below a folder."""
    write_tiny_steps(root)
    for name, (base, keys, reads, lines) in CONFIGS.items():
        start = f"output/tiny/{reads}/model_final.pth" if reads else ""
        (root / "configs" / "tiny" / f"{name}.py").write_text(
            f"from .{base} import {keys}\n{lines}\n"
            f"train.init_checkpoint = {start!r}\n"
            f"train.output_dir = 'output/tiny/{name}'\n"
        )


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """studies and reproduce, writing into a temporary folder."""
    monkeypatch.syspath_prepend(str(ROOT / "projects/DetNAS"))  # as of a script
    modules = [importlib.import_module(name) for name in ("studies", "reproduce")]
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for module in modules:
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return modules


def test_the_plan_is_whole(tools):
    """Every file that a step reads is written by another, or drawn; nothing is trained twice.

    Three seeds a row, and five random architectures with one seed each.
    """
    studies, _ = tools
    steps = {}
    for study in studies.STUDIES:
        study.draw_architectures()
        for step in study.steps():
            assert steps.setdefault(step.name, step) == step  # shared ones are the same
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
    written = [s.writes for s in steps.values()]
    assert len(set(written)) == len(written) == len({s.done_file for s in steps.values()})
    read = {file for s in steps.values() for file in s.reads}
    assert all(Path(f).is_file() for f in read - set(written))
    waiting = list(steps.values())
    while waiting:  # in some order all of them can run
        waiting.remove(ready(waiting, [])[0])
    study = studies.STUDIES[0]
    assert [s.cfg.train.seed for s in study.retraining(study.networks()[0], 2)] == [2, 2, 2]


def test_table(tools):
    _, reproduce = tools
    rows = {"DetNAS-P": [30.0, 31.0, 33.0], "Random": [20.0, 26.0], "": [1.0, 2.0]}
    runs = [
        {"row": row, "AP": ap, "AP50": 2 * ap, "VOC mAP": 3 * ap}
        for row, values in rows.items()
        for ap in values
    ]
    results = {"a": {"title": "first", "minutes": 12.3, "runs": runs}}
    results["a"]["tau"] = {"tau": 0.514, "low": 0.2, "high": 0.81, "architectures": 17}
    text = reproduce.table(results)
    assert "| DetNAS-P | 31.3±1.5 / 62.7±3.1 / 94.0±4.6 |" in text
    assert "| Random | 23.0±4.2 / 46.0±8.5 / 69.0±12.7 |" in text
    assert "| minutes of its steps, one thread each | 12 |" in text
    assert "tau 0.51 (95%: 0.20 to 0.81) over 17 architectures" in text
    runs[0]["AP"] = None  # nothing was detected
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
    searches = ("step3_search_fpn", "step3_search_classification", "step3_search_scratch_fpn")
    found = {name.rpartition("/")[2]: len(x) for name, x in results["searches"].items()}
    assert found == dict.fromkeys(searches, 3)
    table = (root / "output/reproduce/table.md").read_text()
    assert "| AP / AP50 / VOC mAP | tiny |" in table and "| DetNAS-P |" in table
