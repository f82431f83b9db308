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
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from made_data import write_coco, write_image_folder
from measuring import machine, versions

ROOT = Path(__file__).resolve().parents[1]
STEP1 = "imagenet/step1_supernet_300m"
STEP2, STEP3 = "coco/step2_supernet_fpn_300m", "coco/step3_search_fpn_300m"
TINY = "--tiny" in sys.argv
# images (height, width), and a GPU's share of the paper's batches
IMAGE, PHOTOGRAPH = ((64, 96), (48, 64)) if TINY else ((800, 1333), (375, 500))
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


def data(work: Path) -> None:
    """Made images in the place of COCO and ImageNet."""
    coco, names = work / "datasets" / "coco", [f"class {i}" for i in range(80)]
    for seed, (name, count) in enumerate(IMAGES.items()):
        file = coco / "annotations" / f"instances_{name}.json"
        write_coco(file, coco / "train2017", count, IMAGE, names, seed)
    write_image_folder(work / "datasets" / "imagenet", CLASSES, 2, PHOTOGRAPH, seed=2)


def run(script: str, config: str, *overrides: str) -> None:
    """A script to its end; one that fails has said why."""
    command = [sys.executable, str(ROOT / script), "--config-file", f"{ROOT}/configs/{config}.py"]
    if status := subprocess.run([*command, *COMMON, *overrides], stdout=sys.stderr).returncode:
        sys.exit(status)


def note(**figures: Any) -> None:
    """A line of figures."""
    print(json.dumps(figures), flush=True)


def train(config: str, overrides: Sequence[str], name: str) -> None:
    """Milliseconds of a step, those that wait for its images, and MB of the GPU at most."""
    length = [f"train.max_iter={STEPS}", f"train.output_dir={name}", "dataloader.evaluator=null"]
    rate = "optimizer.lr=0.001"  # one that no start makes diverge
    run("train_net.py", config, *overrides, *length, rate)
    last = json.loads(Path(name, "metrics.json").read_text().splitlines()[-1])
    memory = re.findall(r"max_mem: (\d+)M", Path(name, "log.txt").read_text())
    note(
        steps=STEPS,
        milliseconds=round(1000 * last["time"], 2),
        of_which_data=round(1000 * last["data_time"], 2),
        peak_MB=int(memory[-1]) if memory else None,
        loss=last["total_loss"],
    )


def search(overrides: Sequence[str], name: str) -> None:
    """Seconds of each candidate, on an untrained supernet; the first one warms up."""
    from detnas_d2.engine import DetNASCheckpointer, LazyTrainer, load_config

    cfg = load_config(str(ROOT / f"configs/{STEP3}.py"), [*COMMON, *DETECTION])
    DetNASCheckpointer(LazyTrainer.build_model(cfg), ".").save("untrained")
    size = ["search.algorithm.population=4", "search.algorithm.generations=1"]
    size += ["search.algorithm.parents=1", f"search.fitness.calibration_batches={CALIBRATION}"]
    scores = "model.roi_heads.box_predictor.test_score_thresh=0.0"  # untrained: all are low
    where = ["train.init_checkpoint=untrained.pth", f"train.output_dir={name}", "search.retrain=[]"]
    run("search_net.py", STEP3, *DETECTION, *size, *where, scores, *overrides)
    lines = Path(name, "ledger.jsonl").read_text().splitlines()[1:]
    records = [json.loads(line) for line in lines]
    if any(record["status"] != "ok" for record in records):
        sys.exit(f"candidates failed: {records}")
    note(overrides=overrides, seconds=[round(record["seconds"], 3) for record in records])


def candidate(last: bool, amp: bool) -> Callable[[str], None]:
    """A search in one layout and precision, of the same candidates."""
    fitness = "search.fitness"
    return partial(search, [f"{fitness}.channels_last={last}", f"{fitness}.amp={amp}"])


PARTS: dict[str, tuple[Callable[[str], None], int]] = {
    "candidate": (candidate(False, False), 55),
    "candidate_amp": (candidate(False, True), 55),
    "candidate_last": (candidate(True, False), 55),
    "candidate_last_amp": (candidate(True, True), 55),
    "steps": (partial(train, STEP2, DETECTION), 80),
    "mixed": (partial(train, STEP2, [*DETECTION, "train.amp.enabled=True"]), 80),
    "classification": (partial(train, STEP1, CLASSIFICATION), 80),
    "worker": (partial(search, ["search.executor.workers=1"]), 90),
}
"""What is run, and its seconds at most: together under ten minutes."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--tiny", action="store_true", help="small images and networks, on a CPU")
    parser.add_argument("--output", type=Path, default=ROOT / "output/gpu")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if wrong := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(wrong))}; there are {', '.join(PARTS)}")
    if args.here:  # a part, in its process
        return PARTS[args.parts[0]][0](args.parts[0])
    args.output.mkdir(parents=True, exist_ok=True)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    tf32 = torch.backends.cudnn.allow_tf32
    lines = [{"machine": machine(), "gpu": gpu, "tf32": tf32, "versions": versions()}]
    failed = []
    with tempfile.TemporaryDirectory() as folder, open(args.output / "gpu.txt", "w") as log:
        data(Path(folder))
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        sets = f"{folder}/datasets"
        environment = {**os.environ, "DETECTRON2_DATASETS": sets, "PYTHONPATH": path}
        skipped = {"mixed"} if TINY else set()  # a training in mixed precision needs a GPU
        for part in [p for p in args.parts or PARTS if p not in skipped]:
            command = [sys.executable, __file__, part, "--here", *(["--tiny"] if TINY else [])]
            command = ["timeout", "--kill-after=5", str(PARTS[part][1]), *command]
            done = subprocess.run(
                command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
            figures = [json.loads(line) for line in done.stdout.splitlines() if line[0] == "{"]
            if done.returncode:
                failed.append(part)
                figures.append({"status": done.returncode})
            lines += [{"part": part, **line} for line in figures]
            print(*map(json.dumps, lines[-len(figures) :]), sep="\n", flush=True)
    (args.output / "gpu.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; see {args.output / 'gpu.txt'}")


if __name__ == "__main__":
    main()
