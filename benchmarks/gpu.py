#!/usr/bin/env python3
"""What a GPU that is at hand for a short while is asked, in at most ten minutes.

    python benchmarks/gpu.py                        # figures in output/gpu/gpu.jsonl
    python benchmarks/gpu.py steps worker           # some parts only
    python benchmarks/gpu.py --tiny                 # all of it on a CPU, in half a minute

Needs no network and no data set: images are made. Each part is a process with a time limit, and one
that fails does not stop the others; the status is 1 if one did. Trainings and searches are calls of
train_net.py and search_net.py with the paper's configs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from measuring import ROOT, machine, versions
from PIL import Image

STEP1 = "imagenet/step1_supernet_300m"
STEP2, STEP3 = "coco/step2_supernet_fpn_300m", "coco/step3_search_fpn_300m"
TINY = "--tiny" in sys.argv
# images (height, width), and a GPU's share of the paper's batches
IMAGE, PHOTOGRAPH = ((64, 96), (48, 64)) if TINY else ((800, 1333), (375, 500))
BOXES = 7  # of an image, as COCO has
IMAGES = {"supernet": 8, "search": 3} if TINY else {"supernet": 64, "search": 50}
CLASSES = 4 if TINY else 1000
STEPS, CALIBRATION = (3, 2) if TINY else (200, 25)  # batches of 2 images
COMMON = ["train.init_checkpoint=", "dataloader.train.num_workers=12"]
DETECTION = ["dataloader.train.total_batch_size=2"]
CLASSIFICATION = ["dataloader.train.total_batch_size=128"]
if TINY:
    COMMON = [COMMON[0], "train.device=cpu", "dataloader.train.num_workers=0", "train.log_period=1"]
    CLASSIFICATION = ["dataloader.train.total_batch_size=4", "model.num_classes=4"]
    DETECTION += [
        f"dataloader.{loader}.mapper.augmentations.0.{key}"
        for loader in ("train", "test")
        for key in ("short_edge_length=64", "max_size=96")
    ] + [
        "model.backbone.norm.name=naiveSyncBN",
        "model.backbone.out_channels=16",
        "model.roi_heads.box_head.conv_dims=[16,16,16,16]",
        "model.roi_heads.box_head.fc_dims=[16]",
    ]


def write_data(folder: Path) -> None:
    """Made images in the place of COCO and ImageNet, with boxes anywhere."""
    rng = np.random.default_rng(0)
    coco, imagenet = folder / "coco", folder / "imagenet"
    for made in (coco / "annotations", coco / "train2017", imagenet):
        made.mkdir(parents=True)
    height, width = IMAGE
    categories = [{"id": i + 1, "name": f"class {i}"} for i in range(80)]
    for split, count in IMAGES.items():
        images, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
        for i in range(1, count + 1):
            name = f"{split}_{i}.jpg"
            write_noise(coco / "train2017" / name, rng, IMAGE)
            images.append({"id": i, "file_name": name, "height": height, "width": width})
            boxes = rng.integers(0, [width // 3, height // 3] * 2, (BOXES, 4))
            for box in (boxes + [0, 0, width // 16, height // 16]).tolist():
                ids = {"id": len(annotations) + 1, "image_id": i, "category_id": i % 80 + 1}
                annotations.append({**ids, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
        content = {"images": images, "annotations": annotations, "categories": categories}
        (coco / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    # links to a few files: a thousand classes are there in a second
    for i in range(32):
        write_noise(imagenet / f"{i}.jpg", rng, PHOTOGRAPH)
    for i in range(CLASSES):
        for split in ("train", "val"):
            of_class = imagenet / split / f"n{i:08d}"
            of_class.mkdir(parents=True)
            for k in range(2):
                os.link(imagenet / f"{(2 * i + k) % 32}.jpg", of_class / f"{k}.jpg")


def write_noise(file: Path, rng: np.random.Generator, size: tuple[int, int]) -> None:
    """Blurred: as JPEG it is as large as a photograph."""
    small = rng.integers(0, 256, (size[0] // 4, size[1] // 4, 3), np.uint8)
    Image.fromarray(small).resize(size[::-1], Image.Resampling.BILINEAR).save(file)


def write_untrained(file: Path) -> None:
    """A supernet's weights, which a search reads."""
    from detnas_d2.engine import DetNASCheckpointer, LazyTrainer, load_config

    overrides = [*COMMON, *DETECTION, "train.device=cpu"]
    cfg = load_config(str(ROOT / f"configs/{STEP3}.py"), overrides)
    DetNASCheckpointer(LazyTrainer.build_model(cfg), str(file.parent)).save(file.stem)


class Part(NamedTuple):
    """A call of a script, and its seconds at most."""

    seconds: int
    script: str
    config: str
    overrides: list[str]

    def figures(self, folder: Path) -> dict[str, Any]:
        return (searched if self.script == "search_net.py" else trained)(folder)


def train(seconds: int, config: str, *overrides: str) -> Part:
    length = [f"train.max_iter={STEPS}", "dataloader.evaluator=null"]
    rate = "optimizer.lr=0.001"  # one that no start makes diverge
    return Part(seconds, "train_net.py", config, [*overrides, *length, rate])


def trained(folder: Path) -> dict[str, Any]:
    """Milliseconds of a step, those that wait for its images, and MB of the GPU at most."""
    last = json.loads((folder / "metrics.json").read_text().splitlines()[-1])
    memory = re.findall(r"max_mem: (\d+)M", (folder / "log.txt").read_text())
    return {
        "steps": STEPS,
        "milliseconds": round(1000 * last["time"], 2),
        "of_which_data": round(1000 * last["data_time"], 2),
        "peak_MB": int(memory[-1]) if memory else None,
        "loss": last["total_loss"],
    }


def search(seconds: int, *overrides: str) -> Part:
    size = ["search.algorithm.population=4", "search.algorithm.generations=1"]
    size += ["search.algorithm.parents=1", f"search.fitness.calibration_batches={CALIBRATION}"]
    scores = "model.roi_heads.box_predictor.test_score_thresh=0.0"  # untrained: all are low
    start = ["train.init_checkpoint=untrained.pth", "search.retrain=[]", scores]
    return Part(seconds, "search_net.py", STEP3, [*DETECTION, *size, *start, *overrides])


def searched(folder: Path) -> dict[str, Any]:
    """Seconds of each candidate, on an untrained supernet; the first one warms up."""
    lines = (folder / "ledger.jsonl").read_text().splitlines()[1:]
    records = [json.loads(line) for line in lines]
    errors = [record["error"] for record in records if record["status"] != "ok"]
    seconds = [round(record["seconds"], 3) for record in records]
    return {"seconds": seconds, **({"errors": errors} if errors else {})}


FIRST, LAST = (f"search.fitness.channels_last={last}" for last in (False, True))
AMP = "search.fitness.amp=True"
PARTS = {
    "candidate": search(55, FIRST),
    "candidate_amp": search(55, FIRST, AMP),
    "candidate_last": search(55, LAST),
    "candidate_last_amp": search(55, LAST, AMP),
    "steps": train(80, STEP2, *DETECTION),
    "mixed": train(80, STEP2, *DETECTION, "train.amp.enabled=True"),
    "classification": train(80, STEP1, *CLASSIFICATION),
    "worker": search(90, "search.executor.workers=1"),
}
"""What is run: together under ten minutes."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--tiny", action="store_true", help="small images and networks, on a CPU")
    parser.add_argument("--output", type=Path, default=ROOT / "output/gpu")
    args = parser.parse_args()
    if wrong := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(wrong))}; there are {', '.join(PARTS)}")
    args.output.mkdir(parents=True, exist_ok=True)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    tf32 = torch.backends.cudnn.allow_tf32
    lines: list[dict[str, Any]] = [
        {"machine": machine(), "gpu": gpu, "tf32": tf32, "versions": versions()}
    ]
    failed = []
    with tempfile.TemporaryDirectory() as folder, open(args.output / "gpu.txt", "w") as log:
        write_data(Path(folder, "datasets"))
        write_untrained(Path(folder, "untrained.pth"))
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        sets = f"{folder}/datasets"
        environment = {**os.environ, "DETECTRON2_DATASETS": sets, "PYTHONPATH": path}
        skipped = {"mixed"} if TINY else set()  # a training in mixed precision needs a GPU
        for name in [p for p in args.parts or PARTS if p not in skipped]:
            part = PARTS[name]
            command = ["timeout", "--kill-after=5", str(part.seconds), sys.executable]
            command += [
                str(ROOT / part.script),
                "--config-file",
                f"{ROOT}/configs/{part.config}.py",
            ]
            command += [*COMMON, *part.overrides, f"train.output_dir={name}"]
            status = subprocess.run(
                command, cwd=folder, env=environment, stdout=log, stderr=log
            ).returncode
            figures = {"status": status} if status else part.figures(Path(folder, name))
            if status or "errors" in figures:
                failed.append(name)
            lines.append({"part": name, **figures})
            print(json.dumps(lines[-1]), flush=True)
    (args.output / "gpu.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; see {args.output / 'gpu.txt'}")


if __name__ == "__main__":
    main()
