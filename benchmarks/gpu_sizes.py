"""How much gpu_parts.py runs: on a GPU, and on a CPU to see that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How much is run; images are (height, width)."""

    image: tuple[int, int]
    train_images: int
    search_images: int
    photograph: tuple[int, int]
    classes: int
    calibration_batches: int
    rounds: int
    steps: int
    resumed_steps: int
    classification_steps: int
    generations: int  # of 2 candidates
    overrides: tuple[str, ...]
    detection: tuple[str, ...]
    classification: tuple[str, ...]


FULL = Size(
    image=(800, 1333),
    train_images=64,
    search_images=50,
    photograph=(375, 500),
    classes=1000,
    calibration_batches=25,  # of 2 images
    rounds=3,
    steps=200,
    resumed_steps=60,
    classification_steps=100,
    generations=2,
    overrides=("dataloader.train.num_workers=12",),
    # a GPU's share of the paper's 16 and 1024 images, at a rate that no start makes diverge
    detection=("dataloader.train.total_batch_size=2", "optimizer.lr=0.001"),
    classification=("dataloader.train.total_batch_size=128", "optimizer.lr=0.01"),
)
TINY = Size(
    image=(64, 96),
    train_images=8,
    search_images=3,
    photograph=(48, 64),
    classes=4,
    calibration_batches=2,
    rounds=1,
    steps=3,
    resumed_steps=8,
    classification_steps=3,
    generations=1,
    overrides=("train.device=cpu", "dataloader.train.num_workers=0", "train.log_period=1"),
    detection=(
        "dataloader.train.total_batch_size=2",
        *(
            f"dataloader.{loader}.mapper.augmentations.0.{key}"
            for loader in ("train", "test")
            for key in ("short_edge_length=64", "max_size=96")
        ),
        "model.backbone.norm.name=naiveSyncBN",
        "model.backbone.out_channels=16",
        "model.roi_heads.box_head.conv_dims=[16,16,16,16]",
        "model.roi_heads.box_head.fc_dims=[16]",
    ),
    classification=("dataloader.train.total_batch_size=4", "model.num_classes=4"),
)
