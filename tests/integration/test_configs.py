"""Every config of the paper's steps and of the two CPU data sets, as a file and as networks."""

from __future__ import annotations

import copy
import functools
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.config import LazyConfig, instantiate
from omegaconf import DictConfig, OmegaConf

from detnas_d2.data import missing_datasets
from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.modeling import ShuffleNetV2, ShuffleNetV2Supernet, find_backbone
from detnas_d2.space import resolve_space

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("imagenet", "coco", "bccd", "demo")
CONFIGS = [
    str(p.relative_to(ROOT)) for f in FOLDERS for p in sorted((ROOT / "configs" / f).glob("*.py"))
]
WRITES = {"step3": "best_architecture.json", "step5": "evaluation.json"}


@functools.cache
def _load_once(path: str) -> DictConfig:
    return LazyConfig.load(str(ROOT / path))


def load(path: str) -> DictConfig:
    return copy.deepcopy(_load_once(path))


@pytest.fixture
def cfg(path) -> DictConfig:
    return load(path)


def find(node: Any, key: str) -> list[Any]:
    """Every value under a key of this name, at any depth; interpolations are resolved."""
    values = []
    if isinstance(node, DictConfig):
        for name in map(str, node):
            values += [node[name]] if name == key else find(node[name], key)
    return values


def test_all_steps_are_there():
    steps = {p.split("/")[1]: set() for p in CONFIGS}
    for path in CONFIGS:
        folder, name = path.split("/")[1:]
        steps[folder].add(name[:5])
    assert steps["imagenet"] | steps["coco"] == {f"step{i}" for i in range(1, 6)}
    assert steps["bccd"] == steps["demo"] == {f"step{i}" for i in range(1, 6)}


@pytest.mark.parametrize("path", CONFIGS)
def test_first_line_and_length(path, cfg):
    """The first line names what is read and written, and the config does read and write that."""
    lines = (ROOT / path).read_text().splitlines()
    assert len(lines) <= 30
    reads, writes = re.fullmatch(r"# reads (\S+(?: and \S+)?), writes (\S+)", lines[0]).groups()
    step = Path(path).name[:5]
    assert writes == f"{cfg.train.output_dir}/{WRITES.get(step, 'model_final.pth')}"
    # output/FOLDER/CONFIG: no two steps write to the same folder
    assert cfg.train.output_dir == path.replace("configs/", "output/").removesuffix(".py")
    architectures = find(cfg.model, "architecture")
    from_files = [x for x in (cfg.train.init_checkpoint, *architectures) if x]
    assert reads.split(" and ") == (from_files or ["nothing"])
    if step == "step4":
        assert architectures and architectures[0].endswith("best_architecture.json")


@pytest.mark.parametrize("path", CONFIGS)
def test_what_is_read_is_written_by_another(path, cfg):
    written = {p: (ROOT / p).read_text().split("\n")[0].rpartition(" ")[2] for p in CONFIGS}
    for file in (cfg.train.init_checkpoint, *find(cfg.model, "architecture")):
        assert not file or file in written.values()


@pytest.mark.parametrize("path", CONFIGS)
def test_saved_and_loaded_again(path, cfg, tmp_path):
    """No lambda or object stands in it that the dump of a run (config.yaml) would lose."""
    LazyConfig.save(cfg, str(tmp_path / "config.yaml"))
    again = LazyConfig.load(str(tmp_path / "config.yaml"))
    assert config_hash(again, sorted(again)) == config_hash(cfg, sorted(cfg))


@pytest.mark.parametrize("path", CONFIGS)
def test_data_sets_are_registered(path, cfg):
    """Unknown names raise; missing files do not matter here."""
    names = {*find(cfg.dataloader, "names"), *find(cfg.dataloader, "dataset_name")}
    missing_datasets(names)
    tests = {"coco_2017_val", "bccd_test", "bccd_voc_test", "digits_test"}
    if "step5" in path:
        assert cfg.dataloader.test.dataset.names in tests
    elif path != "configs/coco/step4_detection_fpn_300m.py":  # after the search
        assert not tests & names


@pytest.mark.parametrize("path", CONFIGS)
def test_the_model_is_built(path, cfg):
    """On the meta device: a supernet, or one network of the same space."""
    bottom = cfg.model.backbone.get("bottom_up", cfg.model.backbone)
    space = resolve_space(bottom.space)
    if "architecture" in bottom:  # the search has not written its file yet
        bottom.architecture = [0] * space.num_blocks
    with torch.device("meta"):
        model = instantiate(cfg.model)
    _, backbone = find_backbone(model)
    assert all(p.is_meta for p in model.parameters())
    kind = ShuffleNetV2 if re.search("step[45]", path) else ShuffleNetV2Supernet
    assert type(backbone) is kind
    assert backbone.space == space
    assert ("path_sampler" in cfg) == bool(re.search("step[12]", path))
    if "path_sampler" in cfg:
        sampler = instantiate(cfg.path_sampler)
        assert sampler.space == space
        assert sampler.seed == cfg.train.seed


@pytest.mark.parametrize("path", [p for p in CONFIGS if "step3" in p])
def test_searches(path, cfg):
    """The configs that a search tells to retrain its best with exist and read its best."""
    assert cfg.search.retrain
    for file in cfg.search.retrain:
        retrain = load(file)
        assert find(retrain.model, "architecture") == [
            f"{cfg.train.output_dir}/best_architecture.json"
        ]
    space = resolve_space(cfg.model.backbone.bottom_up.space)
    assert find(retrain.model, "space") == [space.name]


def lr_at(cfg: DictConfig, iteration: int) -> float:
    return cfg.optimizer.lr * instantiate(cfg.lr_multiplier)(iteration / cfg.train.max_iter)


def test_published_settings():
    """The design page's table, by values read off the loaded configs."""
    for name in ("imagenet/step1_supernet_300m", "imagenet/step4_classification_coco_fpn_300m"):
        cfg = load(f"configs/{name}.py")
        assert (cfg.train.max_iter, cfg.dataloader.train.total_batch_size) == (300_000, 1024)
        rates = [lr_at(cfg, i) for i in (0, 150_000, 300_000)]
        assert rates == pytest.approx([0.5, 0.25, 0])
        optimizer = cfg.optimizer
        assert (optimizer.momentum, optimizer.weight_decay) == (0.9, 4e-5)
        decays = optimizer.params.weight_decay_norm, optimizer.params.weight_decay_bias
        assert decays == (0, 0)
        assert cfg.model.label_smoothing == 0.1
    sampler = load("configs/imagenet/step1_supernet_300m.py").path_sampler
    assert (sampler.low, sampler.high) == (290e6, 360e6)

    for name, momentum in (
        ("coco/step2_supernet_fpn_300m", 0.1),
        ("coco/step4_detection_fpn_300m", 0.01),
    ):
        cfg = load(f"configs/{name}.py")
        assert (cfg.train.max_iter, cfg.dataloader.train.total_batch_size) == (90_000, 16)
        at = (500, 59_999, 60_001, 79_999, 80_001)
        rates = [lr_at(cfg, i) for i in at]
        assert rates == pytest.approx([0.02, 0.02, 0.002, 0.002, 0.0002])
        assert cfg.optimizer.weight_decay == 1e-4
        norms = [
            cfg.model.backbone.norm,
            cfg.model.backbone.bottom_up.norm,
            cfg.model.roi_heads.box_head.conv_norm,
        ]
        assert {(n.name, n.momentum) for n in norms} == {("SyncBN", momentum)}
    assert load("configs/coco/step2_supernet_fpn_300m.py").dataloader.train.dataset.names == (
        "coco_2017_detnas_supernet"
    )
    search = load("configs/coco/step3_search_fpn_300m.py")
    assert search.dataloader.test.dataset.names == "coco_2017_detnas_search"
    algorithm = OmegaConf.to_container(search.search.algorithm)
    assert [
        algorithm[k] for k in ("population", "generations", "parents", "mutation_probability")
    ] == [50, 20, 10, 0.1]
    assert (search.search.flops_limit, tuple(search.search.input_size)) == (300e6, (224, 224))
    final = load("configs/coco/step4_detection_fpn_300m.py")
    assert final.dataloader.train.dataset.names == "coco_2017_train"
