"""Every config as a file: what it reads and writes, its data sets, and the published settings.

That each can be built and trained is what test_dry_run.py tries.
"""

from __future__ import annotations

import functools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from detectron2.config import LazyConfig, instantiate
from omegaconf import DictConfig

from detnas_d2.data import missing_datasets
from detnas_d2.driver import retrainings
from detnas_d2.engine import load_config
from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.space import Architecture, CostTable, resolve_space
from detnas_d2.trust import TrustError, called_by, read_config

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(
    str(p.relative_to(ROOT))
    for p in (ROOT / "configs").glob("*/*.py")
    # those for own data (test_custom.py) need some
    if p.parent.name != "common" and not (p.parent / "settings.py").exists()
)
PAPER = [p for p in CONFIGS if p.split("/")[1] in ("imagenet", "coco", "voc")]
SEARCHES = [p for p in CONFIGS if "/step3" in p]
DETECTION = [p for p in PAPER if re.search("/(coco|voc)/step[24]", p)]
CLASSIFICATION = [p for p in PAPER if re.search("/imagenet/step[14]", p)]
WRITES = {"step3": "best_architecture.json"}
TEST_SETS = {
    *("coco_2017_val", "voc_2007_test"),
    *("bccd_test", "bccd_voc_test", "digits_test", "table_digits_test"),
}
BY_DETECTOR = ("fpn_300m", "retinanet_300m")


@pytest.mark.parametrize("folder", sorted({p.split("/")[1] for p in CONFIGS}))
def test_a_run_leaves_a_config_that_needs_no_trust(folder, tmp_path):
    """But where it names blocks that are not of the package: one config of each kind of step."""
    file = str(tmp_path / "config.yaml")
    own = set()
    kinds = {Path(p).name[:9]: p for p in CONFIGS if p.split("/")[1] == folder}
    for path in kinds.values():
        LazyConfig.save(load(path), file)
        try:
            again = read_config(file)
        except TrustError as error:
            own.add(path)
            assert "calls 'projects.DetNAS.own_space." in str(error)
            again = read_config(file, also=called_by(load(path)))
        assert config_hash(again, sorted(again)) == config_hash(load(path), sorted(load(path)))
    assert not own or folder == "own_space"


ALSO = """
model train optimizer lr_multiplier path_sampler search datasets dataloader
dataloader.train dataloader.calibration dataloader.test dataloader.evaluator dataloader.final_test
"""


@pytest.mark.parametrize("path", CONFIGS)
def test_every_key_is_read(path):
    """What stands for no call, and is none of these groups, nothing would read."""
    cfg = load(path)
    assert set(cfg) | {f"dataloader.{key}" for key in cfg.dataloader} <= set(ALSO.split())


@functools.cache
def load(path: str) -> DictConfig:
    return load_config(str(ROOT / path))


def find(node: Any, key: str) -> list[Any]:
    """Every value under a key of this name, at any depth; interpolations are resolved."""
    values = []
    if isinstance(node, DictConfig):
        for name in map(str, node):
            values += [node[name]] if name == key else find(node[name], key)
    return values


def architecture(cfg: DictConfig) -> Any:
    bottom = cfg.model.backbone.get("bottom_up", cfg.model.backbone)
    return bottom.get("architecture")


def files_read(path: str) -> list[str]:
    """Files and addresses, as the config's keys name them."""
    cfg = load(path)
    found = architecture(cfg)
    is_file = isinstance(found, str) and found.endswith(".json")
    return [x for x in (cfg.train.init_checkpoint, found if is_file else "") if x]


def writer(file: str) -> str:
    """The config that writes output/FOLDER/NAME/..."""
    return f"configs/{file.split('/', 1)[1].rpartition('/')[0]}.py"


def written(path: str) -> str:
    name = WRITES.get(Path(path).name[:5], "model_final.pth")
    return f"{path.replace('configs/', 'output/').removesuffix('.py')}/{name}"


@pytest.mark.parametrize("path", CONFIGS)
def test_first_line_and_length(path):
    """The first line names what is read and written, and the config does read and write that."""
    lines = (ROOT / path).read_text().splitlines()
    assert len(lines) <= 30
    reads, writes = re.fullmatch(r"# reads (\S+(?: and \S+)?), writes (\S+)", lines[0]).groups()
    assert writes == written(path)
    # output/FOLDER/CONFIG: no two runs write to the same folder
    assert load(path).train.output_dir == path.replace("configs/", "output/").removesuffix(".py")
    assert reads.split(" and ") == (files_read(path) or ["nothing"])


@pytest.mark.parametrize("path", CONFIGS)
def test_what_is_read_is_written_by_a_step_before(path):
    """And of the same space; the architecture too, where the command does not say which."""
    cfg = load(path)
    for file in (f for f in files_read(path) if not f.startswith("detectron2://")):
        before = writer(file)
        assert before in CONFIGS and written(before) == file
        assert Path(before).name[:5] <= Path(path).name[:5]
        if file.endswith(".pth"):
            assert set(find(load(before).model, "space")) == set(find(cfg.model, "space"))
            shared = "/imagenet/step4" in before or "digits/step4" in before
            assert architecture(load(before)) == architecture(cfg) or shared


@pytest.mark.parametrize("path", CONFIGS)
def test_data_sets(path):
    """They are registered, and test sets are for what comes after the search."""
    cfg = load(path)
    names = {
        n
        for value in find(cfg.dataloader, "names") + find(cfg.dataloader, "dataset_name")
        for n in ([value] if isinstance(value, str) else value)
    }
    final = load_config(str(ROOT / path), test=True).dataloader.test.dataset.names
    missing_datasets(names | {final})  # raises for an unknown name; missing files do not matter
    if "/step4_detection" in path:
        assert final in TEST_SETS
    if not (path in DETECTION and "/step4" in path):
        assert not TEST_SETS & names
    if "/step3" in path:
        assert cfg.dataloader.train.dataset.names != cfg.dataloader.test.dataset.names
        assert cfg.dataloader.calibration.dataset == cfg.dataloader.train.dataset


CLASSES = {
    "coco": 80,
    "voc": 20,
    "imagenet": 1000,
    "bccd_boxes": 4,
    "bccd": 3,
    "digits": 5,
    "table_digits": 10,
}


@pytest.mark.parametrize("path", CONFIGS)
def test_number_of_classes(path):
    """The model has the classes of its data set."""
    cfg = load(path)
    name = cfg.dataloader.test.dataset.names
    (classes,) = set(find(cfg.model, "num_classes"))
    prefix = next(p for p in CLASSES if name.startswith(p))
    assert classes == CLASSES[prefix]


def paper_search(path: str) -> str:
    """The search by Algorithm 2 that another one stands beside."""
    return re.sub("_(official|random|pareto)_", "_", path)


@pytest.mark.parametrize("path", SEARCHES)
def test_searches(path):
    """The configs that a search tells to retrain its best with exist and train that space."""
    cfg = load(path)
    # what the others find, reproduce.py retrains by the configs of another search
    assert cfg.search.retrain or re.search("_scratch_|_score_|search_classification", path)
    (space,) = set(find(cfg.model, "space"))
    for file in cfg.search.retrain:
        retrain = load(file)
        assert "/step4" in file and set(find(retrain.model, "space")) == {space}
    # typed one after the other, each command reads what the one before it writes
    typed = [shlex.split(r.command(written(path))) for r in retrainings(cfg, str(ROOT))]
    outputs = {written(path), ""}
    for _, _, _, file, *overrides in typed if cfg.search.retrain else ():
        step = load_config(str(ROOT / file), overrides)
        assert step.train.output_dir not in outputs and architecture(step) == written(path)
        assert step.train.init_checkpoint.removesuffix("/model_final.pth") in outputs
        outputs.add(step.train.output_dir)


def lr_at(cfg: DictConfig, iteration: float) -> float:
    return cfg.optimizer.lr * instantiate(cfg.lr_multiplier)(iteration / cfg.train.max_iter)


@pytest.mark.parametrize("path", CLASSIFICATION)
def test_published_classification(path):
    """The design page's table, by values read off the loaded configs."""
    cfg = load(path)
    assert (cfg.train.max_iter, cfg.dataloader.train.total_batch_size) == (300_000, 1024)
    assert [lr_at(cfg, i) for i in (0, 150_000, 300_000)] == pytest.approx([0.5, 0.25, 0])
    optimizer = cfg.optimizer
    assert (optimizer.momentum, optimizer.weight_decay) == (0.9, 4e-5)
    assert (optimizer.params.weight_decay_norm, optimizer.params.weight_decay_bias) == (0, 0)
    assert (cfg.model.label_smoothing, cfg.model.dropout) == (0.1, 0.2)
    assert cfg.model.last_channels == (1728 if "3_8g" in path else 1024)
    # the supernet does not see the images that ClsNASNet's search scores on
    supernet = "/step1" in path
    trained_on = "imagenet_detnas_supernet" if supernet else "imagenet_train"
    assert cfg.dataloader.train.dataset.names == trained_on
    assert cfg.dataloader.test.dataset.names == "imagenet_val"


@pytest.mark.parametrize("path", DETECTION)
def test_published_detection(path):
    cfg = load(path)
    voc, retinanet = "/voc/" in path, "retinanet" in path
    scratch = "without_imagenet" in path or "supernet_scratch" in path
    iterations = (22_500 if voc else 90_000) * (2 if scratch else 1)
    assert (cfg.train.max_iter, cfg.dataloader.train.total_batch_size) == (iterations, 16)
    assert bool(cfg.train.init_checkpoint) is not scratch
    at = [500, *(iterations * x + y for x in (6 / 9, 8 / 9) for y in (-1, 1))]
    factors = (1, 1, 0.1, 0.1, 0.01)
    lr = 0.01 if retinanet else 0.02
    assert [lr_at(cfg, i) for i in at] == pytest.approx([lr * f for f in factors])
    assert lr_at(cfg, 250) == pytest.approx(lr / 2, rel=0.01)  # warm-up over the first 500
    assert (cfg.optimizer.momentum, cfg.optimizer.weight_decay) == (0.9, 1e-4)
    classes = cfg.model.num_classes if retinanet else cfg.model.roi_heads.num_classes
    assert classes == (20 if voc else 80)


@pytest.mark.parametrize("path", [p for p in DETECTION if not re.search("resnet|detnet_", p)])
def test_published_norms_and_pixels(path):
    cfg = load(path)
    momentum = 0.1 if "/step2" in path else 0.01
    backbone = cfg.model.backbone
    norms = [backbone.bottom_up.norm]
    scratch = "without_imagenet" in path or "supernet_scratch" in path
    if "retinanet" not in path:
        norms += [backbone.norm, cfg.model.roi_heads.box_head.conv_norm]
        assert list(cfg.model.roi_heads.box_head.conv_dims) == [256] * 4
    elif scratch:  # norm everywhere
        norms += [backbone.norm]
        norms += [cfg.model.head.norm.norm]
    else:  # in the backbone only
        assert not backbone.get("norm") and not cfg.model.head.get("norm")
    assert {(n.name, n.momentum) for n in norms} == {("SyncBN", momentum)}
    assert list(cfg.model.pixel_mean) == [0, 0, 0]


def test_published_backbones_keep_their_pixels():
    """What the weights were trained with: Detectron2's mean, and for DetNet-59 our own step 4's."""
    for depth in (50, 101):
        cfg = load(f"configs/coco/step4_detection_resnet_{depth}_fpn.py")
        assert list(cfg.model.pixel_mean) == [103.53, 116.28, 123.675]
        assert cfg.train.init_checkpoint.endswith(
            f"R-{cfg.model.backbone.bottom_up.stages.depth}.pkl"
        )
        assert cfg.model.backbone.bottom_up.stages.depth == depth
        assert list(cfg.model.roi_heads.box_head.fc_dims) == [1024, 1024]
    assert list(load("configs/coco/step4_detection_detnet_59_fpn.py").model.pixel_mean) == [0, 0, 0]


@pytest.mark.parametrize("path", [p for p in DETECTION if "/step2" in p])
def test_supernets_and_final_networks_see_their_own_images(path):
    folder, name = path.split("/")[1:]
    full = {"coco": "coco_2017", "voc": "voc_0712"}[folder]
    assert load(path).dataloader.train.dataset.names == f"{full}_detnas_supernet"
    search = load(path.replace("step2_supernet", "step3_search"))
    assert search.dataloader.test.dataset.names == f"{full}_detnas_search"
    final = load(re.sub("step2_supernet(_scratch)?", "step4_detection", path)).dataloader
    trained_on = {
        "coco": "coco_2017_train",
        "voc": ["voc_2007_trainval", "voc_2012_trainval"],
    }
    assert final.train.dataset.names == trained_on[folder]
    assert final.test.dataset.names in TEST_SETS


DETNASNET = "0,0,3,1,2,1,0,2,0,3,1,2,3,3,2,0,2,1,1,3,2,0,2,2,2,1,3,1,0,3,3,3,1,3,3,3,3,3,3,3"
"""The published one of both large spaces."""


@pytest.mark.parametrize("path", [p for p in SEARCHES if p in PAPER])
def test_published_search(path):
    cfg = load(path)
    algorithm = cfg.search.algorithm
    if "random" in path:
        assert algorithm.count == 1000
    else:
        keys = ("population", "generations", "mutation_probability")
        assert [algorithm[k] for k in keys] == [50, 20, 0.1]
        assert "pareto" in path or algorithm.parents == 10
    assert tuple(cfg.search.input_size) == (224, 224)
    metric = {"imagenet": "classification/top1", "coco": "bbox/AP", "voc": "bbox/AP50"}
    assert cfg.search.fitness.metric == metric[path.split("/")[1]]
    size = re.search(r"(300m|1_3g|3_8g)\.py$", path)[1]
    assert cfg.search.flops_limit == {"300m": 300e6, "1_3g": 1.3e9, "3_8g": 4.0e9}[size]
    if size != "300m":  # the published network would have been allowed
        space = resolve_space(cfg.model.backbone.bottom_up.space)
        net = Architecture.parse(DETNASNET, space)
        flops = CostTable(space).flops
        assert flops(net) <= cfg.search.flops_limit < flops.maximum


@pytest.mark.parametrize("detector", BY_DETECTOR)
def test_official_search(detector):
    """The settings of arch_search_config.py and test_server.py in the authors' code."""
    cfg = load(f"configs/coco/step3_search_official_{detector}.py")
    algorithm = cfg.search.algorithm
    assert (algorithm.parents_from, algorithm.mutations, algorithm.crossovers) == ("all", 20, 20)
    calibration, train = cfg.dataloader.calibration, cfg.dataloader.train
    assert (cfg.search.fitness.calibration_batches, calibration.total_batch_size) == (500, 8)
    assert calibration.mapper.augmentations == train.mapper.augmentations


@pytest.mark.parametrize("path", [p for p in SEARCHES if p != paper_search(p)])
def test_other_searches_differ_in_the_search_alone(path):
    cfg, plain = load(path), load(paper_search(path))
    assert cfg.model == plain.model and cfg.dataloader.test == plain.dataloader.test
    candidates = [
        a.get("count") or a.population * a.generations
        for a in (cfg.search.algorithm, plain.search.algorithm)
    ]
    assert candidates[0] == candidates[1]


@pytest.mark.parametrize("path", PAPER)
def test_spaces_and_path_samplers(path):
    """The size in a name is the space, everywhere in the config."""
    cfg = load(path)
    spaces = {*find(cfg.model, "space"), *find(cfg.get("path_sampler"), "space")}
    size = re.search(r"_(300m|1_3g|3_8g|resnet|detnet)", path)[1]
    assert spaces == (set() if size in ("resnet", "detnet") else {size.replace("_", ".")})
    assert ("path_sampler" in cfg) == bool(re.search("/step[12]", path))


def test_the_published_range_counts_the_classifier_too():
    """From 290M to 360M in bins of 10M, with the layers after the backbone of step 1."""
    cfg = load("configs/imagenet/step1_supernet_300m.py")
    path = Architecture.parse("2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2", resolve_space("300m"))
    rest = (640 * 7 * 7 + cfg.model.num_classes) * cfg.model.last_channels
    sampler = cfg.path_sampler
    assert (sampler.low + rest, sampler.high + rest, sampler.bins) == (290e6, 360e6, 7)
    assert sampler.low <= CostTable(path.space, (224, 224)).flops(path) <= sampler.high
