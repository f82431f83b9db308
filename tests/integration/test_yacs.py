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
from digits_voc import register_voc
from torch.nn.modules.batchnorm import _BatchNorm

from detnas_d2.data import register_builtin_datasets, unregister_dataset
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
YAMLS = [
    f"{kind}_{head}_300m" for kind in ("detnasnet", "supernet") for head in ("fpn", "retinanet")
]
NORMS = ["MODEL.ROI_BOX_HEAD.NORM", "BN", "MODEL.FPN.NORM", "BN"]
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


def config(name: str, *changes: str):
    cfg = get_cfg()
    add_detnas_config(cfg)
    cfg.merge_from_file(str(PROJECT / "configs" / f"{name}.yaml"))
    cfg.merge_from_list(list(changes))
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


LAZY = {"supernet": "step2_supernet", "detnasnet": "step4_detection"}


@pytest.mark.parametrize("name", YAMLS)
def test_every_yaml_says_what_the_lazy_config_says(name):
    """Every module with every setting that is one value, and every weight's decay."""
    cfg = config(name, "MODEL.DEVICE", "meta")
    kind, _, rest = name.partition("_")
    retinanet = "retinanet" in rest
    overrides = []
    if kind == "detnasnet":  # the published network
        overrides = [f"model.backbone.bottom_up.architecture={list(cfg.MODEL.DETNAS.ARCHITECTURE)}"]
        overrides += ["model.backbone.top_block.in_feature=p5"] if retinanet else []
    lazy = load_config(str(ROOT / f"configs/coco/{LAZY[kind]}_{rest}.py"), overrides)
    with torch.device("meta"):
        model, other = build_model(cfg), instantiate(lazy.model)
    lazy.optimizer.params.model = other
    assert settings(model) == settings(other)
    assert decays(model, build_optimizer(cfg, model)) == decays(other, instantiate(lazy.optimizer))
    assert lazy.model.pixel_mean == cfg.MODEL.PIXEL_MEAN

    momentum = {m.momentum for m in model.modules() if isinstance(m, _BatchNorm)}
    assert momentum == {0.1 if kind == "supernet" else 0.01}
    if retinanet:
        source = "res5" if kind == "supernet" else "p5"
        assert model.backbone.top_block.in_feature == source
    assert set(decays(model, build_optimizer(cfg, model)).values()) == {1e-4}
    _, backbone = find_backbone(model)
    assert type(backbone) is (Supernet if kind == "supernet" else StandAloneNetwork)
    assert backbone.space.name == "300m"
    assert (0.01 if retinanet else 0.02, 90000) == (cfg.SOLVER.BASE_LR, cfg.SOLVER.MAX_ITER)
    assert (() if kind == "supernet" else ("coco_2017_val",)) == cfg.DATASETS.TEST


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


@pytest.mark.parametrize("name", YAMLS[2:])
def test_only_the_path_is_trained(script, digits, name, tmp_path):
    """Each iteration has another path, and every tensor off it is, bit for bit, as before."""
    norms = NORMS if "fpn" in name else []
    small = config(name, *overrides(OUTPUT_DIR=tmp_path, SOLVER__MAX_ITER=4), *norms)
    trainer = script["Trainer"](small)
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
    """A supernet on two processes: the same paths and weights on both. Resumed on one; then a
    network sliced out of it, with its test."""
    output = tmp_path / "supernet"

    def command(yaml: str, *flags: str, **more: object) -> list[str]:
        file = str(PROJECT / "configs" / f"{yaml}.yaml")
        return ["--config-file", file, *flags, *overrides(**more), *NORMS]

    first = command("supernet_fpn_300m", OUTPUT_DIR=output, SOLVER__MAX_ITER=2)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", two_yacs.__file__, str(tmp_path), *first],
        env=workspace.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    one, two = (torch.load(tmp_path / f"rank{rank}.pth") for rank in range(2))
    assert one["paths"] == two["paths"]
    assert one["paths"] == [UniformPathSampler("demo", 5)(i).choices for i in range(2)]
    assert one["images"] != two["images"]
    parameters = one["weights"].keys()
    assert parameters and all(torch.equal(one["weights"][k], two["weights"][k]) for k in parameters)
    assert torch.load(output / "model_final.pth", weights_only=True)["detnas"]["space"] == "demo"

    def call(arguments: list[str]) -> dict:
        return script["run"](add_trust(default_argument_parser()).parse_args(arguments))

    call(command("supernet_fpn_300m", "--resume", OUTPUT_DIR=output, SOLVER__MAX_ITER=4))
    assert "Starting training from iteration 2" in (output / "log.txt").read_text()
    assert (output / "last_checkpoint").read_text() == "model_final.pth"

    network = {
        "OUTPUT_DIR": tmp_path / "network",
        "MODEL__DETNAS__ARCHITECTURE": "0,1,2,3,0,1,2,3,0,1",
        "MODEL__WEIGHTS": output / "model_final.pth",
        "SOLVER__MAX_ITER": 1,
        "DATASETS__TEST": ("digits_val",),
    }
    call(command("detnasnet_fpn_300m", **network))
    assert "the weights of a supernet" in (tmp_path / "network" / "log.txt").read_text()
    network["MODEL__WEIGHTS"] = tmp_path / "network" / "model_final.pth"
    voc = register_voc(workspace / "datasets/digits")
    for name in ("digits_val", voc[1]):  # COCO's evaluator and VOC's
        network["DATASETS__TEST"] = (name,)
        results = call(command("detnasnet_fpn_300m", "--eval-only", **network))
        assert {"AP", "AP50", "AP75"} <= results["bbox"].keys()
    for name in voc:
        unregister_dataset(name)
