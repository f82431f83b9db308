"""Each command on a stranger's files: every file that it reads holds a payload, and none runs.

That the payloads in config.yaml are some, and are refused, all of them, is shown in
tests/test_trust.py; a command meets one of each kind.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from data_to_check import VOC_XML, make_coco, make_voc
from detectron2.modeling import build_model
from detectron2.utils.file_io import PathManager
from iopath.common.file_io import get_cache_dir
from made_search import draw_nothing
from payloads import Bomb, Planted, changed, entities, json_bytes, targets
from PIL import Image

from detnas_d2.data import load_voc_folder
from detnas_d2.engine import DetNASCheckpointer
from detnas_d2.errors import DetNASError
from detnas_d2.export import load_trained
from detnas_d2.modeling import get_cfg
from detnas_d2.steps import Step

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "projects/DetNAS/configs/Base-DetNAS-FPN.yaml"
MODEL, SPACE = "model dataloader.test.mapper", "model.backbone.bottom_up.space"
BACKBONE = "model.backbone.bottom_up"


@dataclass(frozen=True)
class Command:
    """A program on a copy of a folder, and which files of the folder it reads.

    line: {f} is the folder, {o} one beside it. keys: where nodes of config.yaml are made, with a
    blank between; "" where it is not read. weights: a checkpoint is read, names: last_checkpoint.
    """

    line: str
    template: str = "step4"
    keys: str = ""
    json: str = ""
    weights: bool = False
    names: bool = False


OUT = "--output={o}/out"
RESUMED = "search_net.py --config-file configs/tiny/step3.py --resume train.output_dir={f}"
COMMANDS = {
    "export": Command(
        f"detnas_d2.export {{f}} --format=state_dict {OUT}", keys=MODEL, weights=True, names=True
    ),
    "predict": Command(f"detnas_d2.predict {{f}} {{o}}/a.png {OUT}", keys=MODEL, names=True),
    "report": Command(
        "detnas_d2.report {f}",
        "step3",
        keys="model search.algorithm",
        json="search.json ledger.jsonl best_architecture.json detections.json ranking.json",
    ),
    "rank": Command(
        "tools/rank.py {f} --truth={f}/table.json",
        "step3",
        keys="model search.algorithm search.fitness",
        json="ledger.jsonl table.json",
    ),
    "report of a training": Command(
        "detnas_d2.report {f}", json="metrics.json done.json evaluation.json"
    ),
    "space": Command(
        "detnas_d2.space {f}/config.yaml {f}/best_architecture.json",
        "step3",
        keys=SPACE,
        json="best_architecture.json",
    ),
    "latency": Command(
        f"detnas_d2.evaluation.latency {{f}}/config.yaml {OUT} --rounds=1", "step3", keys=SPACE
    ),
    "check of blocks": Command(
        "detnas_d2.modeling.check_blocks {f}/config.yaml", "step3", keys=SPACE
    ),
    "check of data": Command(
        "detnas_d2.data.check {f}/train.json --images={f}/photos", "data", json="train.json"
    ),
    "splits": Command(
        "detnas_d2.data.splits {f}/train.json --search-images=2 --seed=0 --out={o}",
        "data",
        json="train.json",
    ),
    "train": Command(
        "train_net.py --config-file {f}/config.yaml",
        keys="model optimizer dataloader.train lr_multiplier datasets.x",
    ),
    "test": Command(
        "train_net.py --config-file {f}/config.yaml --eval-only", keys="dataloader.evaluator"
    ),
    "resume": Command(
        "train_net.py --config-file configs/tiny/step4.py --resume train.output_dir={f} "
        f"train.max_iter=3 {BACKBONE}.architecture={{f}}/best_architecture.json",
        json="metrics.json best_architecture.json",
        weights=True,
        names=True,
    ),
    "begin": Command(
        "train_net.py --config-file configs/tiny/step4.py train.output_dir={o}/out "
        "train.init_checkpoint={f}/model_final.pth",
        weights=True,
    ),
    "search": Command(
        "search_net.py --config-file {f}/config.yaml",
        "step3",
        keys="model search.algorithm dataloader.test",
    ),
    "resume a search": Command(
        f"{RESUMED} search.initial_ledger={{f}}/other.jsonl",
        "step3",
        json="ledger.jsonl other.jsonl",
    ),
    # to say what differs, config.yaml is read, and its classes are looked up
    "another search": Command(
        f"{RESUMED} search.fitness.calibration_batches=1", "step3", keys="search.algorithm model"
    ),
    "search with a table": Command(
        "search_net.py --config-file configs/tiny/step3.py train.output_dir={o}/out "
        "search.latency_table={f}/latency.json search.latency_limit=3",
        "step3",
        json="latency.json",
    ),
    "estimate": Command("detnas_d2.driver.estimate {f}/config.yaml", keys="model optimizer"),
    "convert": Command(
        "projects.DetNAS.paper.convert_weights {f}/model_final.pth {o}/out/w.pth "
        "--config-file {f}/config.yaml",
        keys=SPACE,
        weights=True,
    ),
}


@pytest.fixture(scope="module")
def templates(workspace, searched, tmp_path_factory) -> Mapping[str, Path]:
    """Folders as they come from an honest stranger."""
    step4 = workspace / "output/honest"
    status, output = workspace.call("train_net.py", "step4", f"train.output_dir={step4}")
    assert status == 0, output
    data = tmp_path_factory.mktemp("data") / "data"
    make_coco(data)
    shutil.copy(searched[0] / "best_architecture.json", step4)
    return {"step3": searched[0], "step4": step4, "data": data}


@pytest.fixture
def planted(tmp_path, monkeypatch) -> Iterator[Planted]:
    planted = Planted.make(tmp_path / "planted")
    monkeypatch.syspath_prepend(str(planted.folder))
    monkeypatch.setenv("DETNAS_TEST_SECRET", "s3cret")
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    yield planted
    assert not planted.trace.exists()


@pytest.fixture
def run(workspace, templates, planted, tmp_path, monkeypatch) -> Callable[..., tuple[Any, str]]:
    """Runs a command on a fresh copy of its folder in which files were planted."""
    draw_nothing(monkeypatch)

    def run(command: Command, content: bytes = b"", *files: str) -> tuple[Any, str]:
        folder, out = tmp_path / "stranger", tmp_path / "out"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)
        out.unlink(missing_ok=True)
        shutil.copytree(templates[command.template], folder)
        for file in files:
            (folder / file).write_bytes(content)
        status, output = workspace.run(*command.line.format(f=folder, o=tmp_path).split())
        page = folder / "report/index.html"
        said = f"{status}{output}{page.read_text() if page.exists() else ''}"
        assert not planted.trace.exists(), (files, content)
        assert not any(x in said for x in ("Traceback", "not foreseen", "s3cret")), status
        return status, said

    return run


def _of(key: str) -> list[str]:
    return [name for name, command in COMMANDS.items() if getattr(command, key)]


@pytest.mark.parametrize(
    "name", ["export", "predict", "report", "space", "latency", "check of data"]
)
def test_an_honest_strangers_folder_needs_no_trust(run, name):
    status, output = run(COMMANDS[name])
    assert status == 0, (status, output)


def texts_of(planted: Planted, config: dict[str, Any], keys: Sequence[str]) -> dict[str, str]:
    """A payload that runs as the file is read, and one in each node that is made."""
    nodes = {key: changed(config, key, targets(planted)["os"]) for key in keys}
    tag = f"{yaml.safe_dump(config)}\nx: !!python/object/apply:os.system ['touch {planted.trace}']"
    return {**{key: yaml.safe_dump(node) for key, node in nodes.items()}, "a tag": tag}


@pytest.mark.parametrize("name", _of("keys"))
def test_configs(run, planted, templates, name):
    command = COMMANDS[name]
    config = yaml.safe_load((templates[command.template] / "config.yaml").read_text())
    texts = texts_of(planted, config, command.keys.split())
    if command.keys == MODEL:  # a listed class whose constructor makes folders, by another node
        evaluator = {
            "_target_": "detectron2.evaluation.COCOEvaluator",
            "dataset_name": "no_such_data_set",
            "output_dir": str(planted.trace),
        }
        config = changed(config, "dataloader.evaluator", evaluator)
        for key in MODEL.split():
            text = yaml.safe_dump(changed(config, key, "${dataloader.evaluator}"))
            texts[f"{key} of another kind"] = text
    for what, text in texts.items():
        status, said = run(command, text.encode(), "config.yaml")
        if name != "report":  # which is written, whatever it reads
            assert status and ("give --trust" in said or "another search" in said), (what, said)


@pytest.mark.parametrize("name", _of("weights"))
def test_checkpoints(run, planted, templates, name):
    whole = torch.load(templates["step4"] / "model_final.pth", weights_only=True)
    path = planted.folder / "model_final.pth"
    secret = {**whole["detnas"], "architecture": "${oc.env:DETNAS_TEST_SECRET}"}
    for content in ({**whole, "trainer": Bomb(planted.trace)}, {**whole, "detnas": secret}):
        torch.save(content, path)
        status, _ = run(COMMANDS[name], path.read_bytes(), path.name)
        assert isinstance(status, str) and COMMANDS[name].line.split()[0].split("/")[-1] in status


@pytest.mark.parametrize("name", _of("names"))
def test_names(run, planted, name):
    """What last_checkpoint names leads nowhere else."""
    for text in ("../planted/bomb.pth", address(planted), "x\0"):
        status, _ = run(COMMANDS[name], text.encode(), "last_checkpoint")
        assert "expected a file beside it, such as model_final.pth" in str(status)


@pytest.mark.parametrize("name", _of("json"))
def test_json(run, planted, name):
    """Reports are written, and trainings go on, whatever stands in such a file."""
    command, files = COMMANDS[name], COMMANDS[name].json.split()
    is_report = "report" in name
    for what in ("lists", "a node"):
        for names in [files] if is_report else [[file] for file in files]:
            status, said = run(command, json_bytes(planted)[what], *names)
            assert status or is_report or ".py" in command.line, (names, what, said)


def yacs_payloads(p: Planted, config: dict[str, Any], folder: Path) -> dict[str, str]:
    tag = f"!!python/object/apply:os.system ['touch {p.trace}']"
    text = yaml.safe_dump(config)
    (folder / "base.yaml").write_text(f"x: {tag}\n")
    (folder / "between.yaml").write_text("_BASE_: [base.yaml]\n")
    (folder / "round.yaml").write_text("_BASE_: round.yaml\n")
    (folder / "space.yaml").write_text(yaml.safe_dump({"space": targets(p)["os"]}))
    bases = (f"[{BASE}, between.yaml]", "round.yaml", f"https://example.invalid/../../{p.trace}")
    values = {
        "MODEL.DETNAS.SPACE": ("http://example.invalid/s.yaml", p.program, f"{folder}/space.yaml"),
        "MODEL.LOAD_PROPOSALS": (True,),
        "MODEL.DETNAS.ARCHITECTURE": (json_bytes(p)["Python"].decode(),),
    }
    return {
        "a tag": f"{text}\nx: {tag}\n",
        **{f"the base {base}": f"_BASE_: {base}\n{text}" for base in bases},
        **{
            f"{key} {value}": yaml.safe_dump(changed(config, key, value))
            for key in values
            for value in values[key]
        },
    }


def test_yacs(workspace, planted, tmp_path):
    """In a folder that a yacs project has left."""
    cfg = get_cfg()
    cfg.merge_from_file(str(ROOT / "projects/DetNAS/configs/detnasnet_fpn_bccd.yaml"))
    cfg.MODEL.DEVICE = "cpu"
    folder = tmp_path / "yacs"
    file, out = folder / "config.yaml", folder / "out"
    DetNASCheckpointer(build_model(cfg), str(folder)).save("model_final")
    file.write_text(cfg.dump())
    load_trained(folder)  # an honest stranger's
    export = ("detnas_d2.export", folder, "--format=state_dict", f"--output={folder}/o")
    train = ("projects/DetNAS/train_net.py", "--config-file", file, "OUTPUT_DIR", out)
    for what, text in yacs_payloads(planted, yaml.safe_load(cfg.dump()), folder).items():
        file.write_text(text)
        # of what is evaluated, the checkpoint's architecture takes the place in an export
        for command in (train,) if "ARCHITECTURE" in what else (export, train):
            status, output = workspace.run(*map(str, command))
            assert isinstance(status, str) and "Traceback" not in output, what
            assert "not foreseen" not in status, (what, status)
            assert not planted.trace.exists(), what
    file.write_text(cfg.dump())
    for weights in (planted.file("bomb.pkl"), planted.file("bomb.pth"), address(planted)):
        status, _ = workspace.run(*map(str, train), "MODEL.WEIGHTS", weights, "--eval-only")
        assert isinstance(status, str) and weights in status


def address(p: Planted) -> str:
    """Of the model zoo, by its first word; it leads out of the folder of downloads."""
    away = os.path.relpath(p.file("bomb.pkl"), os.path.join(get_cache_dir(), "detectron2"))
    return f"detectron2://{away}"


def test_addresses(workspace, planted, tmp_path, monkeypatch):
    monkeypatch.setenv("FVCORE_CACHE", str(tmp_path / "cache"))
    for path in (address(planted), f"https://example.invalid/{'../' * 12}{planted.trace}"):
        status, _ = workspace.call(
            *("train_net.py", "step4", "train.output_dir=output/address"),
            *(f"{BACKBONE}.architecture=0,0,0,0,0", f"train.init_checkpoint={path}"),
        )
        assert "has '..' in it" in status
    assert os.path.samefile(PathManager.get_local_path(address(planted)), planted.file("bomb.pkl"))


def test_xml(workspace, planted, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    for number, (what, head) in enumerate(entities(secret).items()):
        text = f"{head}\n{VOC_XML.replace('<name>cell', '<name>&x;')}"
        folder = make_voc(tmp_path / f"voc{number}", {"train": ["a", "b"]})
        (folder / "Annotations/a.xml").write_text(text)
        with pytest.raises(DetNASError) as refused:
            load_voc_folder(folder, "train", ["cell"])
        status, output = workspace.run("detnas_d2.data.check", str(folder))
        said = f"{refused.value}{status}{output}"
        assert status and not any(x in said for x in ("s3cret", "Traceback", "not foreseen")), what


def test_a_step_that_goes_on(planted, templates, tmp_path):
    """tools/run_steps.py reads done.json and, to say what differs, config.yaml."""
    config = yaml.safe_load((templates["step4"] / "config.yaml").read_text())
    path = templates["step4"].parents[1] / "configs/tiny/step4.py"
    step = Step("step", "train", path, tmp_path, (f"train.output_dir={tmp_path / 'step'}",))
    (tmp_path / "step").mkdir()
    (tmp_path / "step/done.json").write_text('{"config": "other", "seconds": 1}')
    for what, text in texts_of(planted, config, ("model", "optimizer")).items():
        (tmp_path / "step/config.yaml").write_text(text)
        with pytest.raises(DetNASError, match="holds the results of another config"):
            step.seconds()
        assert not planted.trace.exists(), what
    (tmp_path / "step/done.json").write_bytes(json_bytes(planted)["lists"])
    with pytest.raises(DetNASError):
        step.seconds()


def test_configs_of_retrainings(planted, templates, workspace, tmp_path, monkeypatch):
    """A search's config names programs: those of this project alone are read."""
    config = yaml.safe_load((templates["step3"] / "config.yaml").read_text())
    evil = changed(config, "search.retrain", [planted.program])
    text = yaml.safe_dump(changed(evil, "train.output_dir", str(tmp_path / "out")))
    (tmp_path / "config.yaml").write_text(text)
    draw_nothing(monkeypatch)
    command = ("search_net.py", "--config-file", str(tmp_path / "config.yaml"))
    status, output = workspace.run(*command, "search.algorithm.generations=1")
    assert status == 0 and planted.program in output
