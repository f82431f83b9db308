"""The yacs project as Detectron2 users run it: DefaultTrainer with the path hook, YAML configs."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import two_yacs
from detectron2.config import get_cfg, instantiate
from detectron2.engine import HookBase, default_argument_parser
from detectron2.modeling import build_model
from detectron2.solver import build_optimizer
from torch.nn.modules.batchnorm import _BatchNorm

from detnas_d2.data import register_builtin_datasets
from detnas_d2.engine import load_config
from detnas_d2.modeling import (
    StandAloneNetwork,
    Supernet,
    add_detnas_config,
    find_backbone,
)
from detnas_d2.space import UniformPathSampler
from detnas_d2.trust import add_trust

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "projects" / "DetNAS"
YAMLS = sorted((PROJECT / "configs").glob("*_300m.yaml"))
SMALL = {
    "MODEL.DEVICE": "cpu",
    "MODEL.DETNAS.SPACE": "demo",
    "MODEL.DETNAS.NORM": "BN",
    "MODEL.FPN.OUT_CHANNELS": 8,
    "MODEL.ROI_HEADS.NUM_CLASSES": 2,
    "MODEL.RETINANET.NUM_CLASSES": 2,
    "MODEL.RETINANET.NUM_CONVS": 1,
    "MODEL.ROI_BOX_HEAD.CONV_DIM": 8,
    "MODEL.ROI_BOX_HEAD.FC_DIM": 8,
    "INPUT.MIN_SIZE_TRAIN": (64,),
    "INPUT.MIN_SIZE_TEST": 64,
    "DATALOADER.NUM_WORKERS": 0,
    "SOLVER.IMS_PER_BATCH": 2,
    "SOLVER.STEPS": (),
    "SOLVER.CHECKPOINT_PERIOD": 2,
    "DATASETS.TRAIN": ("digits_train",),
    "SEED": 5,
}


def overrides(**more: object) -> list[str]:
    """SMALL and more as the command line takes them."""
    values = {**SMALL, **{k.replace("__", "."): v for k, v in more.items()}}
    return [str(x) for pair in values.items() for x in pair]


def small(yaml: str, **more: object):
    cfg = get_cfg()
    add_detnas_config(cfg)
    cfg.merge_from_file(str(PROJECT / "configs" / yaml))
    norms = [] if "retinanet" in yaml else ["MODEL.ROI_BOX_HEAD.NORM", "BN", "MODEL.FPN.NORM", "BN"]
    cfg.merge_from_list([*overrides(**more), *norms])
    return cfg


@pytest.fixture
def script(logging_restored):
    """The script's names, as of `import`."""
    return runpy.run_path(str(PROJECT / "train_net.py"))


@pytest.fixture
def digits(workspace, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(workspace / "datasets"))
    register_builtin_datasets()
    yield
    monkeypatch.undo()
    register_builtin_datasets()


@pytest.mark.parametrize("path", YAMLS, ids=lambda p: p.stem)
def test_every_yaml_builds(path):
    """As it is, on the meta device."""
    cfg = get_cfg()
    add_detnas_config(cfg)
    cfg.merge_from_file(str(path))
    cfg.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        model = build_model(cfg)
    _, backbone = find_backbone(model)
    assert type(backbone) is (Supernet if "supernet" in path.stem else StandAloneNetwork)
    assert backbone.space.name == "300m"
    assert backbone.stem.norm.momentum == (0.1 if "supernet" in path.stem else 0.01)
    rate = 0.01 if "retinanet" in path.stem else 0.02
    assert rate == cfg.SOLVER.BASE_LR and cfg.SOLVER.MAX_ITER == 90000
    test = () if "supernet" in path.stem else ("coco_2017_val",)
    assert test == cfg.DATASETS.TEST


LAZY = {"supernet": "step2_supernet", "detnasnet": "step4_detection"}


@pytest.mark.parametrize("path", YAMLS, ids=lambda p: p.stem)
def test_every_yaml_says_what_the_lazy_config_says(path):
    """Every module with every setting that is one value, and every weight's decay."""
    cfg = get_cfg()
    add_detnas_config(cfg)
    cfg.merge_from_file(str(path))
    cfg.MODEL.DEVICE = "meta"
    kind, _, rest = path.stem.partition("_")
    overrides = []
    if kind == "detnasnet":  # the published network
        overrides = [f"model.backbone.bottom_up.architecture={list(cfg.MODEL.DETNAS.ARCHITECTURE)}"]
        overrides += ["model.backbone.top_block.in_feature=p5"] if "retinanet" in rest else []
    lazy = load_config(str(ROOT / f"configs/coco/{LAZY[kind]}_{rest}.py"), overrides)
    with torch.device("meta"):
        model, other = build_model(cfg), instantiate(lazy.model)
    lazy.optimizer.params.model = other
    assert settings(model) == settings(other)
    assert decays(model, build_optimizer(cfg, model)) == decays(other, instantiate(lazy.optimizer))
    assert lazy.model.pixel_mean == cfg.MODEL.PIXEL_MEAN

    momentum = {m.momentum for m in model.modules() if isinstance(m, _BatchNorm)}
    assert momentum == {0.1 if kind == "supernet" else 0.01}
    if "retinanet" in rest:
        source = "res5" if kind == "supernet" else "p5"
        assert model.backbone.top_block.in_feature == source
    assert set(decays(model, build_optimizer(cfg, model)).values()) == {1e-4}


def settings(model):
    values = {name: tuple(x.shape) for name, x in model.state_dict().items()}
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if isinstance(value, (bool, int, float, str)):
                values[f"{name}:{key}"] = value
    return values


def decays(model, optimizer):
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: group["weight_decay"]
        for group in optimizer.param_groups
        for p in group["params"]
    }


def test_all_four_are_there():
    assert [p.stem for p in YAMLS] == [
        f"{kind}_{detector}_300m"
        for kind in ("detnasnet", "supernet")
        for detector in ("fpn", "retinanet")
    ]


@pytest.mark.parametrize("yaml", ["supernet_fpn_300m.yaml", "supernet_retinanet_300m.yaml"])
def test_only_the_path_is_trained(script, digits, yaml, tmp_path):
    """Each iteration has another path, and every tensor off it is, bit for bit, as before."""
    trainer = script["Trainer"](small(yaml, OUTPUT_DIR=tmp_path, SOLVER__MAX_ITER=4))
    supernet = find_backbone(trainer.checkpointer.model)[1]
    sampler = UniformPathSampler("demo", 5)
    paths = []

    class Compare(HookBase):
        def before_step(self):
            paths.append(supernet.path)
            self.before = {k: v.clone() for k, v in supernet.state_dict().items()}

        def after_step(self):
            active = {
                f"res{s.stage + 2}.{s.index_in_stage}.{c}."
                for s, c in zip(supernet.space.blocks, supernet.path, strict=True)
            }
            moved = {
                k for k, v in supernet.state_dict().items() if not torch.equal(v, self.before[k])
            }
            assert "stem.conv.weight" in moved
            for block in active:  # warm-up's rates are small, but not zero
                assert any(k.startswith(block) for k in moved)
            assert all(k.startswith(("stem.", *active)) for k in moved)

    trainer.register_hooks([Compare()])
    trainer.train()
    assert paths == [sampler(i) for i in range(4)]
    assert len(set(paths)) == 4


def test_the_script_trains_resumes_and_tests(script, workspace, digits, tmp_path):
    """The real command on a supernet; resumed; then a network sliced out of it, with its test."""
    output = tmp_path / "supernet"

    def command(yaml: str, *flags: str, **more: object) -> list[str]:
        norms = ["MODEL.ROI_BOX_HEAD.NORM", "BN", "MODEL.FPN.NORM", "BN"]
        config = str(PROJECT / "configs" / yaml)
        return ["--config-file", config, *flags, *overrides(**more), *norms]

    first = command("supernet_fpn_300m.yaml", OUTPUT_DIR=output, SOLVER__MAX_ITER=2)
    done = subprocess.run(
        [sys.executable, str(PROJECT / "train_net.py"), *first],
        cwd=tmp_path,
        env=workspace.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert torch.load(output / "model_final.pth", weights_only=True)["detnas"]["space"] == "demo"

    def call(arguments: list[str]) -> dict:
        return script["run"](add_trust(default_argument_parser()).parse_args(arguments))

    call(command("supernet_fpn_300m.yaml", "--resume", OUTPUT_DIR=output, SOLVER__MAX_ITER=4))
    text = (output / "log.txt").read_text()
    assert "Starting training from iteration 2" in text
    assert (output / "last_checkpoint").read_text() == "model_final.pth"

    network = {
        "OUTPUT_DIR": tmp_path / "network",
        "MODEL__DETNAS__ARCHITECTURE": "0,1,2,3,0,1,2,3,0,1",
        "MODEL__WEIGHTS": output / "model_final.pth",
        "SOLVER__MAX_ITER": 1,
        "DATASETS__TEST": ("digits_val",),
    }
    call(command("detnasnet_fpn_300m.yaml", **network))
    assert "the weights of a supernet" in (tmp_path / "network" / "log.txt").read_text()
    network["MODEL__WEIGHTS"] = tmp_path / "network" / "model_final.pth"
    for name in ("digits_val", "digits_voc_val"):  # COCO's evaluator and VOC's
        network["DATASETS__TEST"] = (name,)
        results = call(command("detnasnet_fpn_300m.yaml", "--eval-only", **network))
        assert {"AP", "AP50", "AP75"} <= results["bbox"].keys()


def test_a_supernet_trains_on_two_processes(workspace, tmp_path):
    """By the script's own `run`: the same paths and weights on both, of which the first moved."""
    norms = ["MODEL.ROI_BOX_HEAD.NORM", "naiveSyncBN", "MODEL.FPN.NORM", "naiveSyncBN"]
    more = {"SOLVER__MAX_ITER": 3, "MODEL__DETNAS__NORM": "naiveSyncBN", "OUTPUT_DIR": tmp_path}
    command = [sys.executable, "-W", "ignore", two_yacs.__file__, str(tmp_path), "--num-gpus", "2"]
    config = ["--config-file", str(PROJECT / "configs" / "supernet_fpn_300m.yaml")]
    done = subprocess.run(
        [*command, *config, *overrides(**more), *norms],
        env=workspace.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (torch.load(tmp_path / f"rank{rank}.pth") for rank in range(2))
    assert first["paths"] == second["paths"]
    assert first["paths"] == [UniformPathSampler("demo", 5)(i).choices for i in range(3)]
    assert first["images"] != second["images"]
    assert first["initial"].keys() == first["weights"].keys() == second["weights"].keys()
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name
        assert torch.equal(first["initial"][name], second["initial"][name]), name
    stem = "backbone.bottom_up.stem.conv.weight"
    assert not torch.equal(first["initial"][stem], first["weights"][stem])
    assert (tmp_path / "model_final.pth").exists()
