"""Configs of a study of projects/DetNAS/reproduce.py, made of those of tools/tiny_steps.py."""

from __future__ import annotations

from pathlib import Path

from tiny_steps import write_tiny_steps

TRAIN = "dataloader, lr_multiplier, model, optimizer, {}train"
SUPERNET, NETWORK = TRAIN.format("path_sampler, "), TRAIN.format("")
LOW_SCORES = "model.roi_heads.box_predictor.test_score_thresh = 0.0"  # it then finds objects
# name: the file that it imports from, what, the step whose checkpoint it reads, lines
CONFIGS = {
    "step1_supernet": ("step1", SUPERNET, "", ""),
    "step2_supernet_fpn": ("step2", SUPERNET, "step1_supernet", LOW_SCORES),
    "step3_search_fpn": (
        "step3",
        "dataloader, model, search, train",
        "step2_supernet_fpn",
        LOW_SCORES,
    ),
    "step3_search_classification": (
        "step1_supernet",
        "dataloader, model, train",
        "step1_supernet",
        "from .step3 import search\nsearch.fitness.metric = 'classification/top1'",
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
