"""YAML projects: projects/DetNAS/train_net.py, and one of a stranger with Detectron2's trainer."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.config import instantiate
from detectron2.engine import (
    DefaultPredictor,
    DefaultTrainer,
    default_argument_parser,
    default_setup,
)
from detectron2.evaluation import COCOEvaluator
from detectron2.modeling import build_model
from detectron2.solver import build_optimizer
from PIL import Image
from torch.nn.modules.batchnorm import _BatchNorm

from detnas_d2.data import register_builtin_datasets, unregister_dataset
from detnas_d2.engine import DetNASCheckpointer, load_config
from detnas_d2.export import load_trained
from detnas_d2.modeling import StandAloneNetwork, Supernet, find_backbone, get_cfg
from detnas_d2.space import UniformPathSampler
from projects.DetNAS.paper.voc_form import register_voc

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "projects/DetNAS/train_net.py"
CONFIGS = ROOT / "projects/DetNAS/configs"
PAGE = (ROOT / "docs/export.md").read_text()
SMALL = {
    "MODEL.DEVICE": "cpu",
    "MODEL.DETNAS.NORM": "naiveSyncBN",
    "MODEL.FPN.NORM": "naiveSyncBN",
    "MODEL.FPN.OUT_CHANNELS": 8,
    "MODEL.ROI_HEADS.NUM_CLASSES": 2,
    "MODEL.ROI_BOX_HEAD.NORM": "naiveSyncBN",
    "MODEL.ROI_BOX_HEAD.CONV_DIM": 8,
    "MODEL.ROI_BOX_HEAD.FC_DIM": 8,
    "INPUT.MIN_SIZE_TRAIN": (64,),
    "INPUT.MIN_SIZE_TEST": 64,
    "DATALOADER.NUM_WORKERS": 0,
    "SOLVER.IMS_PER_BATCH": 2,
    "SOLVER.STEPS": (),
    "DATASETS.TRAIN": ("digits_train",),
    "DATASETS.TEST": ("digits_val",),
    "SEED": 5,
}


def overrides(output_dir: Path, **more: object) -> list[str]:
    """SMALL and more as the command line takes them; `__` stands for a point."""
    more = {key.replace("__", "."): value for key, value in more.items()}
    return [str(x) for pair in {**SMALL, "OUTPUT_DIR": output_dir, **more}.items() for x in pair]


LAZY = {"supernet": "step2_supernet", "detnasnet": "step4_detection"}


@pytest.mark.parametrize("detector", ["fpn", "retinanet"])
@pytest.mark.parametrize("kind", LAZY)
def test_a_yaml_says_what_the_lazy_config_says(kind, detector):
    """Every module with every setting that is one value, and every weight's decay."""
    cfg = get_cfg()
    cfg.merge_from_file(str(CONFIGS / f"{kind}_{detector}_300m.yaml"))
    cfg.MODEL.DEVICE = "meta"
    supernet, retinanet = kind == "supernet", detector == "retinanet"
    changes = []
    if not supernet:  # the published network
        changes = [f"model.backbone.bottom_up.architecture={list(cfg.MODEL.DETNAS.ARCHITECTURE)}"]
        changes += ["model.backbone.top_block.in_feature=p5"] if retinanet else []
    lazy = load_config(str(ROOT / f"configs/coco/{LAZY[kind]}_{detector}_300m.py"), changes)
    with torch.device("meta"):
        model, other = build_model(cfg), instantiate(lazy.model)
    lazy.optimizer.params.model = other
    assert settings(model) == settings(other)
    decay = decays(model, build_optimizer(cfg, model))
    assert decay == decays(other, instantiate(lazy.optimizer)) and set(decay.values()) == {1e-4}
    assert lazy.model.pixel_mean == cfg.MODEL.PIXEL_MEAN
    assert (0.01 if retinanet else 0.02, 90000) == (cfg.SOLVER.BASE_LR, cfg.SOLVER.MAX_ITER)
    assert (() if supernet else ("coco_2017_val",)) == cfg.DATASETS.TEST

    backbone = find_backbone(model)[1]
    assert type(backbone) is (Supernet if supernet else StandAloneNetwork)
    assert backbone.space.name == "300m"
    momentum = {m.momentum for m in model.modules() if isinstance(m, _BatchNorm)}
    assert momentum == {0.1 if supernet else 0.01}
    if retinanet:
        assert model.backbone.top_block.in_feature == ("res5" if supernet else "p5")


def settings(model):
    values = {name: tuple(x.shape) for name, x in model.state_dict().items()}
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if isinstance(value, (bool, int, float, str)):
                values[f"{name}:{key}"] = value
    return values


def decays(model, optimizer):
    names = {id(p): name for name, p in model.named_parameters()}
    groups = optimizer.param_groups
    return {names[id(p)]: group["weight_decay"] for group in groups for p in group["params"]}


def test_the_script_trains_resumes_and_tests(workspace, tmp_path):
    """A supernet; on two processes its paths alone; resumed; a network sliced out, its tests."""

    def call(yaml: str, folder: Path, *flags: str, last: str = "--debug", **more: object) -> str:
        config = ("--config-file", str(CONFIGS / f"{yaml}_fpn_300m.yaml"))
        status, printed = workspace.run(SCRIPT, *config, *flags, *overrides(folder, **more), last)
        assert status == 0, printed
        return printed

    one, two, alone = (tmp_path / name for name in ("one", "two", "alone"))
    demo = {"MODEL__DETNAS__SPACE": "demo", "DATASETS__TEST": ()}
    call("supernet", one, SOLVER__MAX_ITER=2, **demo)
    weights = one / "model_final.pth"
    before = torch.load(weights, weights_only=True)
    assert before["detnas"]["space"] == "demo"

    processes = ("--num-gpus", "2", "--dist-url", "auto")
    call("supernet", two, *processes, SOLVER__MAX_ITER=3, MODEL__WEIGHTS=weights, **demo)
    after = torch.load(two / "model_final.pth", weights_only=True)["model"]
    sampler, prefix = UniformPathSampler("demo", 5), "backbone.bottom_up."
    active = {
        f"{prefix}res{block.stage + 2}.{block.index_in_stage}.{choice}."
        for i in range(3)  # of each iteration the same path on both
        for block, choice in zip(sampler.space.blocks, sampler(i), strict=True)
    }
    moved = {k for k, v in after.items() if not torch.equal(v, before["model"][k])}
    assert all(any(k.startswith(block) for k in moved) for block in active)
    on_path = (f"{prefix}stem.", *active)
    assert all(k.startswith(on_path) for k in moved if k.startswith(prefix))

    call("supernet", one, last="--resume", SOLVER__MAX_ITER=4, **demo)
    assert "Starting training from iteration 2" in (one / "log.txt").read_text()
    assert (one / "last_checkpoint").read_text() == "model_final.pth"

    demo["MODEL__DETNAS__ARCHITECTURE"] = "0,1,2,3,0,1,2,3,0,1"
    call("detnasnet", alone, SOLVER__MAX_ITER=1, MODEL__WEIGHTS=weights, **demo)
    assert "the weights of a supernet" in (alone / "log.txt").read_text()
    voc = register_voc(workspace / "datasets/digits")
    for name in ("digits_val", voc[1]):  # COCO's evaluator and VOC's
        test = {"MODEL__WEIGHTS": alone / "model_final.pth", "DATASETS__TEST": (name,)}
        printed = call("detnasnet", alone, last="--eval-only", **{**demo, **test})
        assert "copypaste: AP,AP50,AP75" in printed
    for name in voc:
        unregister_dataset(name)


@pytest.fixture
def page(tmp_path) -> str:
    """The Faster R-CNN's YAML of docs/export.md."""
    block = next(b for b in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "_BASE_" in b)
    file = tmp_path / "page.yaml"
    file.write_text(block.replace('"projects/', f'"{ROOT}/projects/'))
    return str(file)


class PlainTrainer(DefaultTrainer):
    @classmethod
    def build_evaluator(cls, cfg, dataset_name):
        return COCOEvaluator(dataset_name, output_dir=cfg.OUTPUT_DIR)


def test_a_strangers_project(workspace, page, tmp_path, monkeypatch, logging_restored):
    """One import changed, it trains and tests; its folder is one that export and predict take."""
    monkeypatch.setenv("DETECTRON2_DATASETS", str(workspace / "datasets"))
    register_builtin_datasets()
    architecture = "2,0,1,2,0"
    output, space = tmp_path / "output", workspace / "configs/tiny/space.py"
    cfg = get_cfg()
    cfg.merge_from_file(page)
    cfg.merge_from_list(overrides(output, MODEL__DETNAS__SPACE=space, SOLVER__MAX_ITER=2))
    cfg.MODEL.DETNAS.ARCHITECTURE, cfg.MODEL.WEIGHTS = architecture, ""
    default_setup(cfg, default_argument_parser().parse_args([]))
    trainer = PlainTrainer(cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()
    assert "AP50" in PlainTrainer.test(cfg, trainer.model)["bbox"]
    trained = load_trained(str(output), trust=True)  # its MODEL.DETNAS.SPACE is a program
    assert str(find_backbone(trained.model)[1].architecture) == architecture
    assert [c["name"] for c in trained.categories] == ["zero", "one"]
    stored = torch.load(output / "model_final.pth", weights_only=True)["model"]
    assert all(torch.equal(v, stored[k]) for k, v in trained.model.state_dict().items())
    monkeypatch.undo()
    register_builtin_datasets()


def test_the_yaml_of_the_page(page, tmp_path):
    """It detects as configs/demo/step4_detection.py does; with the base's keys it would not."""
    architecture, weights = "0,3,1,2,0,1,3,2,1,0", str(tmp_path / "model_final.pth")
    lazy = load_config(
        str(ROOT / "configs/demo/step4_detection.py"),
        [f"model.backbone.bottom_up.architecture={architecture}"],
    )
    torch.manual_seed(0)
    model = instantiate(lazy.model).eval()
    DetNASCheckpointer(model, str(tmp_path)).save("model_final")
    pixels = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    image = instantiate(lazy.dataloader.test.mapper)({"file_name": str(tmp_path / "image.png")})
    with torch.no_grad():
        ours = model([{**image, "height": 150, "width": 200}])[0]["instances"]
    assert len(ours) > 10

    def same(*changes: object) -> bool:
        cfg = get_cfg()
        cfg.merge_from_file(page)
        cfg.MODEL.WEIGHTS, cfg.MODEL.DEVICE = weights, "cpu"
        cfg.MODEL.DETNAS.ARCHITECTURE = architecture
        cfg.merge_from_list(list(changes))
        theirs = DefaultPredictor(cfg)(pixels[:, :, ::-1])["instances"]  # by its own checkpointer
        return (
            torch.equal(ours.pred_boxes.tensor, theirs.pred_boxes.tensor)
            and torch.equal(ours.scores, theirs.scores)
            and torch.equal(ours.pred_classes, theirs.pred_classes)
        )

    assert same()
    assert not same("MODEL.ANCHOR_GENERATOR.SIZES", [[32], [64], [128], [256], [512]])
    assert not same("MODEL.RPN.POST_NMS_TOPK_TEST", 10)


def test_the_keys_of_the_page():
    """Those of yacs; tests/docs/test_config_page.py looks for the others."""
    rows = re.findall(r"^\|[^|]*\| `([A-Z]\w*\.[\w.]+)` \| `[\w.]+`", PAGE, re.MULTILINE)
    assert len(rows) > 20
    for key in rows:
        functools.reduce(lambda node, name: node[name], key.split("."), get_cfg())
