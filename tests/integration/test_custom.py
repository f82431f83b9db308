"""configs/custom from four lines to both figures, by the real scripts on 12 generated images."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import run_steps
import torch
from detectron2.config import LazyConfig, instantiate
from detectron2.data import MetadataCatalog
from own_images import with_tiny_data

from detnas_d2.data import unregister_dataset
from detnas_d2.data.own import prepare_folder
from detnas_d2.driver.estimate import Predicted
from detnas_d2.engine import ConfigError, load_config
from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.export import load_trained
from detnas_d2.predict import main as predict
from detnas_d2.space import SPACES, resolve_space
from detnas_d2.steps import StepError
from detnas_d2.steps.step import _load
from projects.DetNAS.paper.halves import halves_space

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs/custom/step2_supernet.py"
STEPS = sorted({f"{config}.py" for _, config in run_steps.OWN_STEPS.values()})
ORDER = [*run_steps.OWN_STEPS, "step4_detection_random", "step5_test_random"]
TINY = """
machines["cpu"].update(
    channels=8, batch=2, epochs=1, least=2, most=2, population=3, generations=2, parents=2
)
machines["cpu"]["calibration_images"] = 4
"""


@pytest.fixture
def config(tmp_path):
    """A copy of configs/custom with its four lines set; it lies in the working directory."""
    with with_tiny_data(CONFIG, str(tmp_path)) as config:
        yield config


@pytest.fixture
def tool(config, workspace, monkeypatch):
    """tools/run_steps.py on that copy; its steps run in this process."""
    root, outputs = config.parents[2], {}
    here = dataclasses.replace(workspace, folder=root)

    def run(steps, *, expected):
        assert set(expected) == {s.name for s in steps if s.kind != "test"}
        for step in steps:
            script, *arguments = step.command[1:]
            status, outputs[step.name] = here.run(Path(script).name, *arguments)
            assert status == 0, f"{step.name}: {status}\n{outputs[step.name]}"
        return dict.fromkeys(outputs, 9.0)

    monkeypatch.setattr(run_steps, "ROOT", root)
    monkeypatch.setattr(run_steps, "run_steps", run)
    _load.cache_clear()
    return outputs


def run(*, estimate=False, long=False):
    run_steps.run("custom", None, only_estimate=estimate, long=long)


def set_line(config, **values):
    file = config.parent / "settings.py"
    text = file.read_text()
    for key, value in values.items():
        line = f"{key} = {value!r}"
        text = re.sub(f"(?m)^{key} = .*$", lambda found, line=line: line, text)
    file.write_text(text)


def test_all_steps(tool, config, monkeypatch, capsys):
    """Classes and folders may be called anything: the config's library reads no sign in them."""
    images, names = Path("im ${x} \\\\${").absolute(), ["???", "${x"]
    Path("data").rename(images)
    content = json.loads((images / "all.json").read_text())
    for category, name in zip(content["categories"], names, strict=True):
        category["name"] = name
    (images / "all.json").write_text(json.dumps(content))
    set_line(config, annotations=str(images / "all.json"), images=str(images))
    (config.parent / "machines.py").open("a").write(TINY)
    run()
    printed = capsys.readouterr().out
    assert list(tool) == ORDER
    for step in ("step2_supernet", "step3_search", "step4_finetune", "step4_detection_random"):
        assert re.search(rf"(?m)^{step} .*(iterations|candidates)", printed), step
    assert re.search(r"(?m)^fine-tuned, test set .* 9 s$", printed)
    assert "report/index.html" in printed
    output = Path("output/custom")
    summary = json.loads((output / "summary.json").read_text())
    assert (output / "test_images.png").is_file()
    assert {"test", "finetuned", "random"} <= set(summary) and list(summary["seconds"]) == ORDER
    assert summary["search"]["evaluated"] <= 6
    line = (output / "step3_search/ledger.jsonl").read_text().splitlines()[1]
    assert {f"bbox/AP-{name}" for name in names} < json.loads(line)["metrics"].keys()
    detections = json.loads((output / "step3_search/detections.json").read_text())
    assert detections["classes"] == names

    # retrained from scratch, fine-tuned from all of the supernet's detector
    assert "whole model from the weights of a supernet" in tool["step4_finetune"]
    assert "Initializing model from scratch" in tool["step4_detection"]
    # the test images were seen by the tests alone
    for name, text in tool.items():
        assert ("data/test.json" in text) == name.startswith("step5"), name

    # a run's config.yaml is enough to know the data
    for part in ("train", "val", "test"):
        unregister_dataset(f"custom_{part}")
    trained = output / "step4_detection"
    assert str(load_config(f"{trained}/config.yaml").datasets.test.image_root) == str(images)
    assert MetadataCatalog.get("custom_test").thing_classes == names
    exported = load_trained(str(trained)).describe()["categories"]
    assert [c["name"] for c in exported] == names
    found = Path("found/detections.json")
    predict([str(trained), str(images / "1.png"), "--output", "found", "--threshold", "0"])
    assert {d["category_name"] for d in json.loads(found.read_text())} <= set(names)

    monkeypatch.setattr(run_steps, "predict", None)  # known by now
    run(estimate=True)
    assert table_of(capsys.readouterr().out) == table_of(printed)


def test_short_trainings_need_no_supernet(config, workspace):
    """From step 0 to the retraining that the search's end tells of; no test image is read."""
    (config.parent / "machines.py").open("a").write(TINY)
    Path("output/custom/data/test.json").write_text("not to be read")
    run = dataclasses.replace(workspace, folder=config.parents[2]).run
    search = ("search_net.py", "--config-file", "configs/custom/step3_search_short.py")
    status, output = run(*search, "search.fitness.share=1")
    assert status == 0, output
    assert "Each candidate is trained for 4 of 4 iterations" in output
    folder = Path("output/custom/step3_search_short")
    (command,) = json.loads((folder / "search.json").read_text())["commands"]
    command = command.replace("BEST", str(folder / "best_architecture.json"))
    assert command in output
    status, output = run(*shlex.split(command)[1:])
    assert status == 0, output
    trained = Path("output/custom/step4_detection_custom_step3_search_short")
    assert (trained / "model_final.pth").is_file()
    assert set(Path("output/custom").glob("step*")) == {folder, trained}


def table_of(text):
    (table,) = re.findall(r"(?ms)^step +each.*?^total[^\n]*", text)
    return table


def test_more_than_a_day_and_another_machine(tool, config, monkeypatch, capsys):
    """Both are refused before anything runs; the estimate says so."""
    predicted = Predicted("", "iteration", 1.0, 50_000)  # seconds of each step
    monkeypatch.setattr(run_steps, "predict", lambda name, *_: predicted._replace(name=name))
    monkeypatch.setattr(run_steps, "report", lambda *args: None)
    ran = []
    monkeypatch.setattr(run_steps, "run_steps", lambda steps, expected: ran.append(expected))
    with pytest.raises(StepError, match=r"over a day.*machines\.py.*--long"):
        run()
    run(estimate=True)
    assert "over a day" in capsys.readouterr().out and not ran
    run(long=True)
    assert set(ran[0].values()) == {50_000.0} and len(ran[0]) == 5

    (first, *_) = run_steps.steps_of(config.parent, None)
    first.folder.mkdir(parents=True)
    (first.folder / "done.json").write_text(json.dumps({**first.made_of(), "seconds": 9.0}))
    LazyConfig.save(first.cfg, str(first.folder / "config.yaml"))
    assert run_steps.estimate([first], Path("none.json"), only=True, long=False) == {}
    assert "all trainings and searches are done" in capsys.readouterr().out
    more = '\nmachines["mine"] = {**machines["cpu"], "least": 150}\n'
    (config.parent / "machines.py").open("a").write(more)
    run(estimate=True)
    assert "step2_supernet" not in table_of(capsys.readouterr().out)
    set_line(config, machine="mine")
    _load.cache_clear()
    text = r"train.max_iter \(was 700, is 300\).*choose another name in settings\.py"
    run(estimate=True)
    printed = capsys.readouterr().out
    assert re.search(rf"a run would end with: .*{text}", printed)
    assert "step2_supernet" in table_of(printed)
    with pytest.raises(ConfigError, match=text):
        run()


def test_where_it_lies_is_not_in_its_hash(config, tmp_path, monkeypatch):
    def hashes():
        loaded = [load_config(str(Path.cwd() / "configs/custom" / step)) for step in STEPS]
        return [config_hash(cfg, sorted(cfg)) for cfg in loaded]

    here = hashes()
    for part in ("train", "val", "test"):
        unregister_dataset(f"custom_{part}")
    other = tmp_path / "elsewhere"
    shutil.copytree(Path.cwd(), other, symlinks=True)
    shutil.rmtree(other / "output")
    monkeypatch.chdir(other)
    file = other / "configs/custom/settings.py"
    file.write_text(file.read_text().replace(str(config.parents[2]), str(other)))
    prepare_folder(Path("configs/custom"))
    assert hashes() == here
    assert str(other) in load_config("configs/custom/step4_detection.py").datasets.test.image_root


@pytest.mark.parametrize(
    ("space", "limit"), [(SPACES["demo"], 41e6), (halves_space("300m"), 300e6)], ids=["", "halves"]
)
def test_weights_are_the_same_for_all_that_is_compared(config, space, limit):
    """A supernet's weights, ours or the authors', in a folder whose name looks like a step's."""
    stated = {"space": space.name, "fingerprint": space.fingerprint, "architecture": None}
    file = Path("output/released/super net.pth")
    file.parent.mkdir(parents=True)
    torch.save({"model": {}, "detnas": stated}, file)
    set_line(config, weights=str(file))
    _load.cache_clear()
    steps = run_steps.with_random(run_steps.steps_of(config.parent, None), Path("random.json"))
    starts = {s.name: (s.cfg.train.init_checkpoint, s.cfg.train.max_iter) for s in steps}
    for name in ("step2_supernet", "step4_detection", "step4_detection_random"):
        assert starts[name] == (str(file), 350)  # half of what it takes from scratch
    cfgs = {s.name: s.cfg for s in steps}
    assert cfgs["step3_search"].search.flops_limit == limit
    assert instantiate(cfgs["step2_supernet"].path_sampler).space == space
    anew = cfgs["step4_detection"]
    assert resolve_space(instantiate(anew.model.backbone.bottom_up.space)) == space
    assert anew.train.init_backbone_only
    assert starts["step4_finetune"] == ("output/custom/step2_supernet/model_final.pth", 175)
    trained = "output/custom/step4_detection_random/model_final.pth"
    assert starts["step5_test_random"][0] == trained
    # one network's weights
    stated["architecture"] = [0] * space.num_blocks
    torch.save({"model": {}, "detnas": stated}, file)
    _load.cache_clear()
    train = {s.name: s.cfg.train for s in run_steps.steps_of(config.parent, None)}
    first, last = train["step2_supernet"], train["step4_detection"]
    assert (first.init_checkpoint, first.init_path_only, first.max_iter) == (str(file), True, 700)
    assert (last.init_checkpoint, last.init_backbone_only) == ("", False)


@pytest.mark.parametrize(
    ("machine", "lr", "norm", "device"),
    [
        ("cpu", 0.003, "naiveSyncBN", "cpu"),
        ("1gpu", 0.01, "BN", "cuda"),
        ("8gpu", 0.02, "SyncBN", "cuda"),
    ],
)
def test_what_machine_and_data_decide(config, machine, lr, norm, device):
    """The learning rate follows the batch; SyncBN where there is something to synchronise."""
    set_line(config, machine=machine)
    _load.cache_clear()
    steps = {s.name: s for s in run_steps.steps_of(config.parent, None)}
    assert {s.gpus for s in steps.values()} == {int(machine[0]) if machine != "cpu" else 0}
    for cfg in (steps["step2_supernet"].cfg, steps["step4_finetune"].cfg):
        assert (cfg.model.backbone.norm.name, cfg.train.device) == (norm, device)
        assert cfg.optimizer.lr == pytest.approx(lr)
        assert cfg.model.roi_heads.num_classes == 2
        # small images are not enlarged
        assert cfg.dataloader.train.mapper.augmentations[0].short_edge_length == 64
    workers = steps["step3_search"].cfg.search.executor.workers
    assert workers == (8 if machine == "8gpu" and find_spec("ray") else 0)
    assert steps["step2_supernet"].cfg.train.init_checkpoint == ""
    test = load_config(str(config.parent / "step4_detection.py"), test=True)
    assert test.dataloader.test.dataset.names == "custom_test"


def test_settings_that_cannot_be_used(config):
    with pytest.raises(ConfigError, match=r"(?s)annotations is not set: in settings\.py"):
        load_config(str(CONFIG))  # as it comes
    set_line(config, annotations="none.json", machine="3gpu", images="none", name="a b")
    with pytest.raises(ConfigError) as error:  # all at once, and not as a fault of a config's code
        load_config(str(config))
    assert str(error.value).startswith("4 lines of settings.py can't be used:\n  annotations is ")
    for part in ("\n  images is 'none'", "\n  name is 'a b'", "\n  machine is '3gpu'"):
        assert part in str(error.value)
    assert "line 3" not in str(error.value) and "DataError" not in str(error.value)
