"""The configs and trained detectors of bm_candidate."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from bccd import PATH, first
from detectron2.config import LazyCall as L
from detectron2.config import LazyConfig, instantiate
from detectron2.utils.events import EventStorage
from torch import nn

from detnas_d2.data import seeded
from detnas_d2.modeling import find_supernet

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "output/bm_candidate"
# iterations and learning rate; without norm in FPN and head a detector learns slowly
TRAINING = {"fpn": (250, 2e-3), "retinanet": (600, 7e-4)}
BATCH = 8


def trained(cfg: Any, args: argparse.Namespace) -> Any:
    model = detector(cfg)
    if args.head != "wide":
        model.load_state_dict(torch.load(weights_file(args), weights_only=True))
    return model


def training(args: argparse.Namespace) -> tuple[int, float]:
    """Iterations and learning rate."""
    iterations, rate = TRAINING[args.head]
    return args.iterations or iterations, rate


def weights_file(args: argparse.Namespace) -> Path:
    return OUTPUT / f"{args.head}_{'_'.join(map(str, training(args)))}.pth"


def load_config(args: argparse.Namespace) -> Any:
    """BCCD at 320 pixels: as many images for the statistics as for validation."""
    head = args.head
    cfg = LazyConfig.load(str(ROOT / "configs/bccd/step3_search_fpn.py"))
    if head == "retinanet":
        retinanet = LazyConfig.load(str(ROOT / "configs/bccd/step3_search_retinanet.py"))
        cfg.model = retinanet.model
    cfg.train.output_dir = str(OUTPUT)
    cfg.search.update(batch_size=BATCH, amp=args.amp)
    cfg.search.calibration_batches = 22
    if head == "retinanet":  # as in the paper: norm in the backbone alone
        cfg.model.backbone.norm = cfg.model.head.norm = ""
    if head == "wide":
        cfg.model.backbone.out_channels = 256
        cfg.model.proposal_generator.pre_nms_topk = (1000, 1000)
        cfg.model.proposal_generator.post_nms_topk = (100, 100)
        cfg.model.roi_heads.batch_size_per_image = 100
        cfg.model.roi_heads.box_head.conv_dims = [256] * 4
        cfg.model.roi_heads.box_head.fc_dims = [1024]
        cfg.dataloader.calibration.total_batch_size = 5
        cfg.search.calibration_batches = 10
        cfg.dataloader.test.dataset = L(first)(names="bccd_val", count=50)
    return cfg


def detector(cfg: Any) -> Any:
    """The supernet's detector with the path set, its weights drawn from a fixed seed."""
    torch.manual_seed(0)
    model = instantiate(cfg.model)
    supernet = find_supernet(model)
    assert supernet is not None
    supernet.set_path(PATH)
    return model


def train(cfg: Any, model: Any, args: argparse.Namespace) -> None:
    """Train the path until it finds something: APs of 0 are equal whatever happens."""
    (iterations, rate), file = training(args), weights_file(args)
    if file.exists():
        return
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, iterations)
    batches = iter(instantiate(cfg.dataloader.train))
    start = time.perf_counter()
    with EventStorage():
        for i in range(1, iterations + 1):
            with seeded(0, i):
                losses = model(next(batches))
            optimizer.zero_grad(set_to_none=True)
            sum(losses.values()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if i % 50 == 0:
                left = (time.perf_counter() - start) / i * (iterations - i)
                print(f"training the path: {i}/{iterations}, {left:.0f} s left", flush=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), file)
