"""tools/dry_run.py: it passes what is right, and names what is wrong in a broken config."""

from __future__ import annotations

from pathlib import Path

import pytest

from detnas_d2.engine import load_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools"))
        import dry_run

        yield dry_run


@pytest.fixture
def write(tmp_path):
    """Writes a config beside the real ones, which it may import from."""
    configs = tmp_path / "configs"
    for folder in ("imagenet", "coco"):
        (configs / folder).mkdir(parents=True)
        for file in (ROOT / "configs" / folder).glob("*.py"):
            (configs / folder / file.name).symlink_to(file)
    (configs / "common").symlink_to(ROOT / "configs" / "common")

    def write(name: str, base: str, line: str) -> Path:
        real, path = configs / f"{base}.py", configs / f"{name}.py"
        (real.parent / "base.py").symlink_to(real.resolve())
        keys = ", ".join(load_config(str(real)))
        path.unlink(missing_ok=True)  # a link to the real one
        path.write_text(f"from .base import {keys}\n{line}\n")
        return path

    return write


@pytest.mark.parametrize(
    ("path", "kind", "network", "cost"),
    [
        ("demo/step1_supernet", "train", "demo supernet", None),
        ("coco/step2_supernet_scratch_retinanet_300m", "train", "300m supernet", "237-365"),
        ("voc/step3_search_fpn_300m", "search", "300m supernet", "<= 300"),
        ("imagenet/step3_search_cls_300m", "search", "300m supernet", "<= 300"),
        ("voc/step4_detection_detnasnet_retinanet_300m", "train", "300m fixed", "327"),
        ("coco/step4_detection_fpn_3_8g", "train", "3.8g searched", "3043-4614"),
        ("coco/step5_test_cls_fpn_300m", "test", "300m searched", "237-365"),
        ("coco/step4_detection_resnet_50_fpn", "train", "ResNet", "3856"),
    ],
)
def test_what_is_right_passes(tool, tmp_path, path, kind, network, cost):
    report = tool.check_config(ROOT / "configs" / f"{path}.py", str(tmp_path))
    assert (report.kind, report.network) == (kind, network)
    assert cost is None or report.cost == cost


FPN, RETINANET = "coco/step2_supernet_fpn_300m", "coco/step2_supernet_retinanet_300m"
SEARCH, NETWORK = "coco/step3_search_fpn_300m", "coco/step4_detection_detnasnet_fpn_300m"
BROKEN = {
    "a key of train": (FPN, FPN, "train.max_itr = 3", "train.max_itr: nothing reads this key"),
    "a group of train": (
        FPN,
        FPN,
        "train.checkpointer.periode = 3",
        "train.checkpointer.periode: nothing reads",
    ),
    "a key of the top": (FPN, FPN, "optimiser = dict(optimizer)", "optimiser: nothing reads"),
    "an argument": (
        FPN,
        FPN,
        "model.roi_heads.num_clases = 3",
        "unexpected keyword argument 'num_clases'",
    ),
    "an argument of another": (
        FPN,
        FPN,
        "model.backbone.bottom_up.norms = 3",
        "model.backbone.bottom_up.norms: Supernet takes no such argument",
    ),
    "an argument in a list": (
        FPN,
        FPN,
        "dataloader.train.mapper.augmentations[0].short_edge = 3",
        r"augmentations\[0\].short_edge: ResizeShortestEdge takes no",
    ),
    "a data set": (FPN, FPN, 'dataloader.train.dataset.names = "coco_2018"', "coco_2018"),
    "what a dump loses": (
        FPN,
        FPN,
        "train.seed = lambda: 3",
        "can't be saved as YAML",
    ),
    "the space's size": (
        "coco/step2_supernet_fpn_1_3g",
        FPN,
        "",
        "the name says 1,300M multiply-adds; space '300m' has from 237M to 365M",
    ),
    "the limit's size": (
        "coco/step3_search_fpn_1_3g",
        SEARCH,
        "",
        "the name says 1,300M multiply-adds; the search's limit",
    ),
    "a limit that nothing meets": (
        SEARCH,
        SEARCH,
        "search.flops_limit = 200_000_000",
        "the smallest has 237,222,720",
    ),
    "a setting of the search": (
        SEARCH,
        SEARCH,
        "search.algorithm.parents = 51",
        "parents of the search is 51",
    ),
    "a published network": (
        NETWORK,
        NETWORK,
        'model.backbone.bottom_up.architecture = "1,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2"',
        "published for 'detnasnet_coco_fpn_300m': 288,082,368",
    ),
    "a network without a figure": (
        "coco/step4_detection_mine_fpn",
        NETWORK,
        "",
        "no published figure for 'mine_fpn'",
    ),
    "an RPN head that does not fit": (
        FPN,
        FPN,
        "model.proposal_generator.head.in_channels = 128",
        "parts do not fit",
    ),
    "a RetinaNet head that does not fit": (
        RETINANET,
        RETINANET,
        "model.backbone.top_block.in_channels = 960",
        "parts do not fit",
    ),
    "anchors of other strides": (
        FPN,
        FPN,
        "model.proposal_generator.anchor_generator.strides = [8, 16, 32, 64, 128]",
        r"for strides \[8, 16, 32, 64, 128\]; the backbone has \[4, 8",
    ),
    "a pooler of other strides": (
        FPN,
        FPN,
        "model.roi_heads.box_pooler.scales = (1 / 8, 1 / 16, 1 / 32, 1 / 64)",
        r"box_pooler is for strides \[8",
    ),
    "two spaces": (FPN, FPN, 'path_sampler.space = "demo"', "different spaces"),
    "a checkpoint that nothing writes": (
        FPN,
        FPN,
        'train.init_checkpoint = "output/imagenet/step1/model_final.pth"',
        "no config writes",
    ),
    "a checkpoint of another network": (
        NETWORK,
        NETWORK,
        'train.init_checkpoint = "output/coco/step4_detection_detnasnet_fpn_1_3g/model_final.pth"',
        "does not fit the model",
    ),
    "a checkpoint of a supernet with other heads": (
        SEARCH,
        SEARCH,
        "model.roi_heads.num_classes = 3",
        "the heads do not fit",
    ),
    "a metric": (
        SEARCH,
        SEARCH,
        'search.fitness.metric = "bbox/mAP"',
        "search.fitness.metric is 'bbox/mAP'",
    ),
    "a loss that is not finite": (
        FPN,
        FPN,
        "model.pixel_std = [0.0, 0.0, 0.0]",
        "(infinite|finite|NaN|nan)",
    ),
    "nothing that learns": (FPN, FPN, "optimizer.lr = 1e-300", "moved no weight"),
    "a step by name only": ("coco/step5_test_mine", NETWORK, "", "a config of a training"),
    "a missing key": (NETWORK, NETWORK, "train.max_iter = None", "lacks train.max_iter"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_named(tool, write, tmp_path, what):
    name, base, line, message = BROKEN[what]
    path = write(name, base, line)
    with pytest.raises(Exception, match=message):
        tool.check_config(path, str(tmp_path))


YAMLS = ROOT / "projects/DetNAS/configs"
BROKEN_YAML = {
    "a key": ("supernet_fpn_300m", "MODEL: {DETNAS: {SPACES: demo}}", "SPACES"),
    "a data set": ("supernet_fpn_300m", "DATASETS: {TRAIN: [coco_2018]}", "coco_2018"),
    "a data set of the test": (
        "detnasnet_fpn_bccd",
        "DATASETS: {TEST: [bccd_vla]}",
        "'bccd_vla'. Did you mean bccd_val",
    ),
    "a head": (
        "supernet_fpn_300m",
        "MODEL: {ROI_HEADS: {IN_FEATURES: [p2, p3, p4, p7]}}",
        "p7",
    ),
    "a loss of the head": (
        "supernet_retinanet_300m",
        "MODEL: {RETINANET: {BBOX_REG_LOSS_TYPE: l3}}",
        "Invalid dense box regression loss type .l3",
    ),
    "the space's size": (
        "supernet_fpn_300m",
        "MODEL: {DETNAS: {SPACE: demo}}",
        "the name says 300M",
    ),
    "a published network": (
        "detnasnet_fpn_300m",
        'MODEL: {DETNAS: {ARCHITECTURE: "1,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2"}}',
        "published for 'detnasnet_coco_fpn_300m'",
    ),
    "a loss that is not finite": (
        "detnasnet_retinanet_300m",
        "MODEL: {PIXEL_STD: [0.0, 0.0, 0.0]}",
        "(infinite|finite|NaN|nan)",
    ),
    "nothing that learns": ("detnasnet_fpn_bccd", "SOLVER: {BASE_LR: 0.0}", "moved no weight"),
}


@pytest.mark.parametrize("name", ["detnasnet_fpn_bccd", "supernet_retinanet_300m"])
def test_a_yaml_that_is_right_passes(tool, logging_restored, name):
    report = tool.check_yaml(YAMLS / f"{name}.yaml")
    assert report.kind == "yacs"


@pytest.mark.parametrize("what", BROKEN_YAML)
def test_what_is_broken_in_a_yaml_is_named(tool, logging_restored, tmp_path, what):
    base, line, message = BROKEN_YAML[what]
    path = tmp_path / f"{base}.yaml"
    path.write_text(f"_BASE_: {YAMLS / base}.yaml\n{line}\n")
    with pytest.raises(Exception, match=message):
        tool.check_yaml(path)


def test_bases_are_no_runs(tool):
    runs = [p.name for p in tool.all_configs() if tool.is_run(p)]
    assert "detnasnet_fpn_bccd.yaml" in runs and "step1_supernet_300m.py" in runs
    assert not {"Base-DetNAS.yaml", "optim.py"} & set(runs)
